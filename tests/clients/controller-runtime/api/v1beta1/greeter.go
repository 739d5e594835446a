// Package v1beta1 is an older version of Greeters: the message was called text, and the replicas were a word.
package v1beta1

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"

	v1 "whalesong.dev/clients/controller-runtime/api/v1"
)

// GroupVersion is the group and version of this package.
var GroupVersion = schema.GroupVersion{Group: v1.GroupVersion.Group, Version: "v1beta1"}

// AddToScheme makes the kinds of this package known.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &Greeter{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// GreeterSpec is what is wanted.
type GreeterSpec struct {
	Text  string `json:"text,omitempty"`
	Count string `json:"count,omitempty"`
}

// Greeter is the older form of v1's.
type Greeter struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GreeterSpec      `json:"spec,omitempty"`
	Status v1.GreeterStatus `json:"status,omitempty"`
}

// DeepCopyObject copies a Greeter.
func (in *Greeter) DeepCopyObject() runtime.Object {
	var copied v1.Greeter
	(&v1.Greeter{TypeMeta: in.TypeMeta, ObjectMeta: in.ObjectMeta, Status: in.Status}).DeepCopyInto(&copied)
	return &Greeter{TypeMeta: copied.TypeMeta, ObjectMeta: copied.ObjectMeta, Spec: in.Spec, Status: copied.Status}
}

// ConvertTo makes a v1 Greeter of it. A count that isn't a number can't be converted.
func (in *Greeter) ConvertTo(hub conversion.Hub) error {
	out := hub.(*v1.Greeter)
	out.ObjectMeta, out.Status = in.ObjectMeta, in.Status
	out.Spec.Message = in.Spec.Text
	if in.Spec.Count != "" {
		count, err := strconv.ParseInt(in.Spec.Count, 10, 32)
		if err != nil {
			return fmt.Errorf("spec.count: %q is not a number", in.Spec.Count)
		}
		replicas := int32(count)
		out.Spec.Replicas = &replicas
	}
	return nil
}

// ConvertFrom makes it of a v1 Greeter.
func (in *Greeter) ConvertFrom(hub conversion.Hub) error {
	from := hub.(*v1.Greeter)
	in.ObjectMeta, in.Status = from.ObjectMeta, from.Status
	in.Spec.Text = from.Spec.Message
	if from.Spec.Replicas != nil {
		in.Spec.Count = strconv.Itoa(int(*from.Spec.Replicas))
	}
	return nil
}
