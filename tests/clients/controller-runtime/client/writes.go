package main

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "whalesong.dev/clients/controller-runtime/api/v1"
)

// objects are made, read, updated and conflict; generations count the changes of what is wanted.
func objects(ctx context.Context, b *bench) error {
	made, err := b.greeter(ctx, "a")
	if err != nil {
		return err
	}
	stale := &v1.Greeter{}
	if err := b.Get(ctx, client.ObjectKeyFromObject(made), stale); err != nil {
		return err
	}
	made.Spec.Message = "changed"
	if err := b.Update(ctx, made); err != nil {
		return err
	}
	err = b.Update(ctx, stale)
	_, again := b.greeter(ctx, "a")
	missing := b.Get(ctx, types.NamespacedName{Namespace: b.namespace, Name: "none"}, &v1.Greeter{})
	return first(holds(made.Generation == 2, "the generation is %d", made.Generation), holds(apierrors.IsConflict(err), "a stale update: %v", err),
		holds(apierrors.IsAlreadyExists(again), "a second one: %v", again), holds(apierrors.IsNotFound(missing), "none: %v", missing))
}

func patches(ctx context.Context, b *bench) error {
	made, err := b.greeter(ctx, "a")
	if err != nil {
		return err
	}
	before := made.DeepCopyObject().(*v1.Greeter)
	made.Spec.Message = "merged"
	if err := b.Patch(ctx, made, client.MergeFrom(before)); err != nil {
		return err
	}
	locked := before.DeepCopyObject().(*v1.Greeter)
	locked.Spec.Message = "locked"
	err = b.Patch(ctx, locked, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err := holds(apierrors.IsConflict(err), "a patch of an old version: %v", err); err != nil {
		return err
	}
	if err := b.Patch(ctx, made, client.RawPatch(types.JSONPatchType, []byte(`[{"op": "replace", "path": "/spec/message", "value": "by JSON"}]`))); err != nil {
		return err
	}
	refused := b.Patch(ctx, made.DeepCopyObject().(*v1.Greeter), client.StrategicMergeFrom(before))
	if err := first(holds(made.Spec.Message == "by JSON", "it says %q", made.Spec.Message), holds(apierrors.IsUnsupportedMediaType(refused), "a strategic patch: %v", refused)); err != nil {
		return err
	}
	return applied(ctx, b)
}

// applied is a typed configuration, and one that somebody else holds.
func applied(ctx context.Context, b *bench) error {
	wanted := coreapply.ConfigMap("a", b.namespace).WithData(map[string]string{"a": "1"})
	if err := b.Apply(ctx, wanted, client.FieldOwner("one")); err != nil {
		return err
	}
	other := coreapply.ConfigMap("a", b.namespace).WithData(map[string]string{"a": "2"})
	err := b.Apply(ctx, other, client.FieldOwner("two"))
	if err := holds(apierrors.IsConflict(err), "a field of another: %v", err); err != nil {
		return err
	}
	if err := b.Apply(ctx, other, client.FieldOwner("two"), client.ForceOwnership); err != nil {
		return err
	}
	read := &corev1.ConfigMap{}
	if err := b.Get(ctx, types.NamespacedName{Namespace: b.namespace, Name: "a"}, read); err != nil {
		return err
	}
	return holds(read.Data["a"] == "2", "the data is %v", read.Data)
}

// statuses are written apart from what is wanted.
func statuses(ctx context.Context, b *bench) error {
	made, err := b.greeter(ctx, "a")
	if err != nil {
		return err
	}
	made.Spec.Message = "not by the status"
	meta.SetStatusCondition(&made.Status.Conditions, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Test"})
	if err := b.Status().Update(ctx, made); err != nil {
		return err
	}
	if err := holds(made.Spec.Message == "hello" && made.Generation == 1 && len(made.Status.Conditions) == 1, "after the status: %v %d %v", made.Spec, made.Generation, made.Status); err != nil {
		return err
	}
	made.Spec.Message, made.Status = "by the spec", v1.GreeterStatus{}
	if err := b.Update(ctx, made); err != nil {
		return err
	}
	if err := holds(made.Generation == 2 && len(made.Status.Conditions) == 1, "after the spec: %d %v", made.Generation, made.Status); err != nil {
		return err
	}
	before := made.DeepCopyObject().(*v1.Greeter)
	made.Status.ObservedGeneration = 2
	if err := b.Status().Patch(ctx, made, client.MergeFrom(before)); err != nil {
		return err
	}
	status := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"observedGeneration": int64(7)}}}
	status.SetGroupVersionKind(v1.GroupVersion.WithKind("Greeter"))
	status.SetName("a")
	status.SetNamespace(b.namespace)
	if err := b.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(status), client.FieldOwner("status"), client.ForceOwnership); err != nil {
		return err
	}
	if err := b.Get(ctx, client.ObjectKeyFromObject(made), made); err != nil {
		return err
	}
	return holds(made.Status.ObservedGeneration == 7 && len(made.Status.Conditions) == 1 && made.Spec.Message == "by the spec", "at the end: %v %v", made.Spec, made.Status)
}

func deployment(namespace string) *appsv1.Deployment {
	labels, none := map[string]string{"app": "web"}, int32(0)
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "localhost/web:v1"}}}}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}, Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template}}
}

// subresources are read, updated and made by their names.
func subresources(ctx context.Context, b *bench) error {
	web, scale := deployment(b.namespace), &autoscalingv1.Scale{}
	if err := b.Create(ctx, web); err != nil {
		return err
	}
	scaled := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := b.SubResource("scale").Get(ctx, web, scale); err != nil {
			return err
		}
		scale.Spec.Replicas = 2
		return b.SubResource("scale").Update(ctx, web, client.WithSubResourceBody(scale))
	})
	if scaled != nil {
		return scaled
	}
	if err := b.Get(ctx, client.ObjectKeyFromObject(web), web); err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot", Namespace: b.namespace}}
	token := &authenticationv1.TokenRequest{}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: b.namespace}, Spec: web.Spec.Template.Spec}
	for _, object := range []client.Object{account, pod} {
		if err := b.Create(ctx, object); err != nil {
			return err
		}
	}
	if err := b.SubResource("token").Create(ctx, account, token); err != nil {
		return err
	}
	if err := b.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{}); err != nil {
		return err
	}
	gone := b.Get(ctx, client.ObjectKeyFromObject(pod), pod)
	return first(holds(*web.Spec.Replicas == 2, "replicas: %d", *web.Spec.Replicas), holds(token.Status.Token != "", "no token"), holds(apierrors.IsNotFound(gone), "after the eviction: %v", gone))
}

// deletions with preconditions, of many, and in the foreground.
func deletions(ctx context.Context, b *bench) error {
	owner, err := b.greeter(ctx, "owner")
	if err != nil {
		return err
	}
	yes := true
	reference := metav1.OwnerReference{APIVersion: v1.GroupVersion.String(), Kind: "Greeter", Name: owner.Name, UID: owner.UID, BlockOwnerDeletion: &yes, Controller: &yes}
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", Namespace: b.namespace, Finalizers: []string{"test.whalesong.dev/hold"}, OwnerReferences: []metav1.OwnerReference{reference}}}
	if err := b.Create(ctx, owned); err != nil {
		return err
	}
	other := types.UID("other")
	refused := b.Delete(ctx, owner, client.Preconditions{UID: &other})
	if err := holds(apierrors.IsConflict(refused), "the wrong one: %v", refused); err != nil {
		return err
	}
	if err := b.Delete(ctx, owner, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		return err
	}
	if err := b.until(ctx, func() bool {
		return b.Get(ctx, client.ObjectKeyFromObject(owned), owned) == nil && owned.DeletionTimestamp != nil
	}); err != nil {
		return err
	}
	if err := b.Get(ctx, client.ObjectKeyFromObject(owner), owner); err != nil {
		return err // it has to wait for what it owns
	}
	owned.Finalizers = nil
	if err := b.Update(ctx, owned); err != nil {
		return err
	}
	if err := b.until(ctx, func() bool { return apierrors.IsNotFound(b.Get(ctx, client.ObjectKeyFromObject(owner), owner)) }); err != nil {
		return err
	}
	return b.deletesAll(ctx)
}

func (b *bench) deletesAll(ctx context.Context) error {
	for _, name := range []string{"a", "b", "c"} {
		if _, err := b.greeter(ctx, name); err != nil {
			return err
		}
	}
	if err := b.DeleteAllOf(ctx, &v1.Greeter{}, client.InNamespace(b.namespace), client.MatchingLabels{"name": "b"}); err != nil {
		return err
	}
	left := &v1.GreeterList{}
	if err := b.List(ctx, left, client.InNamespace(b.namespace)); err != nil {
		return err
	}
	return holds(len(left.Items) == 2, "%d are left", len(left.Items))
}

func (b *bench) until(ctx context.Context, condition func() bool) error {
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) || ctx.Err() != nil {
			return holds(false, "it didn't become so within 20 s")
		}
	}
	return nil
}
