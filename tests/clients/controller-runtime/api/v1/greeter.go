// Package v1 is the version of Greeters that is stored and that the others are converted through.
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of this package.
var GroupVersion = schema.GroupVersion{Group: "clients.whalesong.dev", Version: "v1"}

// AddToScheme makes the kinds of this package known.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &Greeter{}, &GreeterList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// GreeterSpec is what is wanted.
type GreeterSpec struct {
	// Message goes into the ConfigMap.
	Message string `json:"message,omitempty"`
	// Replicas are those of the Deployment.
	Replicas *int32 `json:"replicas,omitempty"`
}

// GreeterStatus is what the controller has seen and done.
type GreeterStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// Greeter has a ConfigMap with its message, and a Deployment.
type Greeter struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GreeterSpec   `json:"spec,omitempty"`
	Status GreeterStatus `json:"status,omitempty"`
}

// GreeterList is a list of them.
type GreeterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Greeter `json:"items"`
}

// Hub says that other versions are converted through this one.
func (*Greeter) Hub() {}
