// Package webhook defaults and validates Greeters, and refuses some ConfigMaps.
package webhook

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	v1 "whalesong.dev/clients/controller-runtime/api/v1"
)

// Setup serves the webhooks.
func Setup(mgr ctrl.Manager) error {
	mgr.GetWebhookServer().Register("/deny", &admission.Webhook{Handler: admission.HandlerFunc(deny)})
	return ctrl.NewWebhookManagedBy(mgr, &v1.Greeter{}).WithDefaulter(greeters{}).WithValidator(greeters{}).Complete()
}

// deny refuses everything, and says who asked.
func deny(_ context.Context, request admission.Request) admission.Response {
	response := admission.Denied(fmt.Sprintf("%s of %s %s is denied to %s", request.Operation, request.Resource.Resource, request.Name, request.UserInfo.Username))
	response.Result.Code = http.StatusForbidden
	return response
}

type greeters struct{}

// Default gives a message and a replica to who has none.
func (greeters) Default(_ context.Context, greeter *v1.Greeter) error {
	if greeter.Spec.Message == "" {
		greeter.Spec.Message = "hello"
	}
	if greeter.Spec.Replicas == nil {
		one := int32(1)
		greeter.Spec.Replicas = &one
	}
	return nil
}

// ValidateCreate refuses rude words, and warns of many replicas.
func (greeters) ValidateCreate(_ context.Context, greeter *v1.Greeter) (admission.Warnings, error) {
	return validate(greeter)
}

// ValidateUpdate also refuses fewer replicas.
func (greeters) ValidateUpdate(_ context.Context, old, greeter *v1.Greeter) (admission.Warnings, error) {
	if old.Spec.Replicas != nil && greeter.Spec.Replicas != nil && *greeter.Spec.Replicas < *old.Spec.Replicas {
		return nil, fmt.Errorf("replicas may not go from %d to %d", *old.Spec.Replicas, *greeter.Spec.Replicas)
	}
	return validate(greeter)
}

// ValidateDelete keeps those that are labelled so.
func (greeters) ValidateDelete(_ context.Context, greeter *v1.Greeter) (admission.Warnings, error) {
	if greeter.Labels["keep"] == "yes" {
		return nil, fmt.Errorf("%s is to be kept", greeter.Name)
	}
	return nil, nil
}

func validate(greeter *v1.Greeter) (admission.Warnings, error) {
	if strings.Contains(greeter.Spec.Message, "rude") {
		wrong := field.Invalid(field.NewPath("spec", "message"), greeter.Spec.Message, "must be polite")
		return nil, apierrors.NewInvalid(v1.GroupVersion.WithKind("Greeter").GroupKind(), greeter.Name, field.ErrorList{wrong})
	}
	if greeter.Spec.Replicas != nil && *greeter.Spec.Replicas > 3 {
		return admission.Warnings{"that is a lot of greeters"}, nil
	}
	return nil, nil
}
