package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// DeepCopyInto copies a Greeter into another one.
func (in *Greeter) DeepCopyInto(out *Greeter) {
	*out = *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if in.Spec.Replicas != nil {
		replicas := *in.Spec.Replicas
		out.Spec.Replicas = &replicas
	}
	if in.Status.Conditions != nil {
		out.Status.Conditions = make([]metav1.Condition, len(in.Status.Conditions))
		for i := range in.Status.Conditions {
			in.Status.Conditions[i].DeepCopyInto(&out.Status.Conditions[i])
		}
	}
}

// DeepCopyObject copies a Greeter.
func (in *Greeter) DeepCopyObject() runtime.Object {
	out := new(Greeter)
	in.DeepCopyInto(out)
	return out
}

// DeepCopyObject copies a list with its items.
func (in *GreeterList) DeepCopyObject() runtime.Object {
	out := &GreeterList{TypeMeta: in.TypeMeta, Items: make([]Greeter, len(in.Items))}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		in.Items[i].DeepCopyInto(&out.Items[i])
	}
	return out
}
