// Package controller reconciles Greeters.
package controller

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1 "whalesong.dev/clients/controller-runtime/api/v1"
)

// Finalizer holds a Greeter until it has said farewell.
const Finalizer = "clients.whalesong.dev/farewell"

// Greeters is the reconciler.
type Greeters struct {
	client.Client
	Scheme   *runtime.Scheme
	Recorder events.EventRecorder
}

// SetupWithManager has Greeters reconciled when they or what they own changes.
func (r *Greeters) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).For(&v1.Greeter{}).Owns(&corev1.ConfigMap{}).Owns(&appsv1.Deployment{}).Named("greeter").Complete(r)
}

// Reconcile makes what a Greeter wants.
func (r *Greeters) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	greeter := &v1.Greeter{}
	if err := r.Get(ctx, request.NamespacedName, greeter); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !greeter.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.farewell(ctx, greeter)
	}
	if controllerutil.AddFinalizer(greeter, Finalizer) {
		if err := r.Update(ctx, greeter); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := r.configMap(ctx, greeter); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.deployment(ctx, greeter); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.status(ctx, greeter)
}

// configMap is kept by reading and updating.
func (r *Greeters) configMap(ctx context.Context, greeter *v1.Greeter) error {
	wanted := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: greeter.Name, Namespace: greeter.Namespace}}
	result, err := controllerutil.CreateOrUpdate(ctx, r.Client, wanted, func() error {
		wanted.Data = map[string]string{"message": greeter.Spec.Message}
		return controllerutil.SetControllerReference(greeter, wanted, r.Scheme)
	})
	if err == nil && result != controllerutil.OperationResultNone {
		log.FromContext(ctx).Info("config map", "result", result)
		r.Recorder.Eventf(greeter, wanted, corev1.EventTypeNormal, "Greeted", "Greet", "the ConfigMap was %s", result)
	}
	return err
}

// deployment is kept by server-side apply.
func (r *Greeters) deployment(ctx context.Context, greeter *v1.Greeter) error {
	labels := map[string]string{"greeter": greeter.Name}
	owner := metaapply.OwnerReference().WithAPIVersion(v1.GroupVersion.String()).WithKind("Greeter").WithName(greeter.Name).WithUID(greeter.UID).
		WithController(true).WithBlockOwnerDeletion(true)
	container := coreapply.Container().WithName("web").WithImage("localhost/web:v1").WithEnv(coreapply.EnvVar().WithName("MESSAGE").WithValue(greeter.Spec.Message))
	spec := appsapply.DeploymentSpec().WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).WithSpec(coreapply.PodSpec().WithContainers(container)))
	if greeter.Spec.Replicas != nil {
		spec = spec.WithReplicas(*greeter.Spec.Replicas)
	}
	wanted := appsapply.Deployment(greeter.Name, greeter.Namespace).WithOwnerReferences(owner).WithSpec(spec)
	return r.Apply(ctx, wanted, client.FieldOwner("greeter-controller"), client.ForceOwnership)
}

func (r *Greeters) status(ctx context.Context, greeter *v1.Greeter) error {
	greeter.Status.ObservedGeneration = greeter.Generation
	meta.SetStatusCondition(&greeter.Status.Conditions, metav1.Condition{
		Type: "Ready", Status: metav1.ConditionTrue, Reason: "Greeted", Message: "says " + greeter.Spec.Message, ObservedGeneration: greeter.Generation,
	})
	return r.Status().Update(ctx, greeter)
}

// farewell leaves a ConfigMap that nobody owns, and lets the Greeter go.
func (r *Greeters) farewell(ctx context.Context, greeter *v1.Greeter) error {
	if !controllerutil.ContainsFinalizer(greeter, Finalizer) {
		return nil
	}
	left := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "farewell-" + greeter.Name, Namespace: greeter.Namespace}}
	if err := client.IgnoreAlreadyExists(r.Create(ctx, left)); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(greeter, Finalizer)
	return r.Update(ctx, greeter)
}
