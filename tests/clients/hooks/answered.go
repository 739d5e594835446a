package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registration "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func tokenRequest() *authenticationv1.TokenRequest { return &authenticationv1.TokenRequest{} }

func (b *bench) make(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	return b.typed.CoreV1().ConfigMaps(b.namespace).Create(ctx, configMap(name), metav1.CreateOptions{})
}

func mutatesMaps(name string) hook {
	return hook{name: name, mutating: true, resources: []string{"configmaps"}, operations: []registration.OperationType{registration.Create}}
}

// denial is what is answered, and what the client gets of it.
type denial struct {
	status  *metav1.Status
	code    int32
	reason  metav1.StatusReason
	message string
}

func denials(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, onMaps); err != nil {
		return err
	}
	said := `admission webhook "sees.whalesong.dev" denied the request`
	all := []denial{
		{nil, 400, "", said + " without explanation"},
		{&metav1.Status{}, 400, "", said + " without explanation"},
		{&metav1.Status{Message: "no"}, 400, "", said + ": no"},
		{&metav1.Status{Reason: "Because"}, 400, "Because", said + ": Because"},
		{&metav1.Status{Code: 200, Status: "Success", Message: "fine"}, 400, "", said + ": fine"},
		{&metav1.Status{Code: 418, Reason: "Teapot", Message: "short and stout"}, 418, "Teapot", said + ": short and stout"},
		{&metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Message: "no", Details: &metav1.StatusDetails{Name: "x", Causes: []metav1.StatusCause{{Field: "data"}}}}, 403, "Forbidden", said + ": no"},
	}
	for _, d := range all {
		b.hooks.answers["sees"] = func(_ *admissionv1.AdmissionRequest, response *admissionv1.AdmissionResponse) {
			response.Allowed, response.Result = false, d.status
		}
		_, err := b.make(ctx, "denied")
		status, ok := err.(apierrors.APIStatus)
		if !ok {
			return fmt.Errorf("%v: %v", d.status, err)
		}
		got := status.Status()
		if err := first(equal("message", d.message, got.Message), equal("code", d.code, got.Code), equal("reason", d.reason, got.Reason), equal("status", "Failure", got.Status)); err != nil {
			return err
		}
		if d.status != nil && d.status.Details != nil && (got.Details == nil || len(got.Details.Causes) != 1) {
			return fmt.Errorf("details: %v", got.Details)
		}
	}
	return nil
}

// order: mutating webhooks see each other's changes, one after the other; validating ones what came of them.
func order(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, mutatesMaps("one"), mutatesMaps("two"), onMaps); err != nil {
		return err
	}
	b.hooks.answers["one"] = patches(`[{"op": "add", "path": "/data/one", "value": "1"}]`)
	b.hooks.answers["two"] = patches(`[{"op": "test", "path": "/data/one", "value": "1"}, {"op": "add", "path": "/data/two", "value": "2"}]`)
	made, err := b.make(ctx, "a")
	if err != nil {
		return err
	}
	r, err := b.only("sees")
	if err != nil {
		return err
	}
	if !strings.Contains(string(r.Object.Raw), `"two":"2"`) {
		return fmt.Errorf("validated: %s", r.Object.Raw)
	}
	return equal("data", map[string]string{"a": "1", "one": "1", "two": "2"}, made.Data)
}

// reinvocation: who asks for it is asked again when a later one has changed something.
func reinvocation(ctx context.Context, b *bench) error {
	again := mutatesMaps("again")
	again.more = func(m *registration.MutatingWebhook) {
		policy := registration.IfNeededReinvocationPolicy
		m.ReinvocationPolicy = &policy
	}
	if err := b.configure(ctx, mutatesMaps("never"), again, mutatesMaps("later")); err != nil {
		return err
	}
	b.hooks.answers["later"] = patches(`[{"op": "add", "path": "/data/later", "value": "1"}]`)
	if _, err := b.make(ctx, "a"); err != nil {
		return err
	}
	for name, want := range map[string]int{"never": 1, "again": 2, "later": 1} {
		if got := len(b.hooks.requests(name)); got != want {
			return fmt.Errorf("%s was asked %d times, not %d", name, got, want)
		}
	}
	return nil
}

// patchedIsDefaulted: what a webhook adds gets its defaults.
func patchedIsDefaulted(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, hook{name: "pods", mutating: true, resources: []string{"pods"}, operations: []registration.OperationType{registration.Create}}); err != nil {
		return err
	}
	b.hooks.answers["pods"] = patches(`[{"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "localhost/busybox:1"}}]`)
	made, err := b.typed.CoreV1().Pods(b.namespace).Create(ctx, pod(), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	side := made.Spec.Containers[len(made.Spec.Containers)-1]
	if err := first(equal("name", "side", side.Name), equal("policy", corev1.PullIfNotPresent, side.ImagePullPolicy), equal("message path", "/dev/termination-log", side.TerminationMessagePath)); err != nil {
		return err
	}
	if len(side.VolumeMounts) != 1 {
		return fmt.Errorf("the service account's token is not mounted into the added container: %v", side.VolumeMounts)
	}
	return nil
}

func patchedIsValidated(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, mutatesMaps("breaks")); err != nil {
		return err
	}
	b.hooks.answers["breaks"] = patches(`[{"op": "add", "path": "/metadata/labels", "value": {"a": "not valid!"}}]`)
	_, err := b.make(ctx, "a")
	if !apierrors.IsInvalid(err) {
		return fmt.Errorf("want Invalid, got %v", err)
	}
	return contains(err, "metadata.labels: Invalid value")
}

// unpatchable: patches that can't be applied are the server's errors, and those of deletions are refused.
func unpatchable(ctx context.Context, b *bench) error {
	all := mutatesMaps("breaks")
	all.operations = nil
	if err := b.configure(ctx, all); err != nil {
		return err
	}
	if _, err := b.make(ctx, "there"); err != nil {
		return err
	}
	b.hooks.answers["breaks"] = patches(`[{"op": "remove", "path": "/data/none"}]`)
	_, err := b.make(ctx, "a")
	if !apierrors.IsInternalError(err) {
		return fmt.Errorf("a patch that doesn't fit: want InternalError, got %v", err)
	}
	b.hooks.answers["breaks"] = patches(`no patch`)
	_, err = b.make(ctx, "a")
	if err := contains(err, `failed calling webhook "breaks.whalesong.dev": received undecodable patch in webhook response`); err != nil {
		return err
	}
	b.hooks.answers["breaks"] = patches(`[{"op": "add", "path": "/data", "value": {}}]`)
	err = b.typed.CoreV1().ConfigMaps(b.namespace).Delete(ctx, "there", metav1.DeleteOptions{})
	return contains(err, `admission webhook "breaks.whalesong.dev" attempted to modify the object, which is not supported for this operation`)
}

// malformed: answers that are none.
func malformed(ctx context.Context, b *bench) error {
	ignored := onMaps
	ignored.name = "ignored"
	ignored.more = func(m *registration.MutatingWebhook) {
		policy := registration.Ignore
		m.FailurePolicy = &policy
	}
	if err := b.configure(ctx, onMaps, ignored); err != nil {
		return err
	}
	bodies := map[string]string{
		`{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}`:                                                     "received invalid webhook response: webhook response was absent",
		`{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {"uid": "other", "allowed": true}}`:      `got "other"`,
		`{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {"allowed": true}}`:                      "expected response.uid=",
		`{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "response": {"uid": "other", "allowed": true}}`: `failed calling webhook "sees.whalesong.dev"`,
		`{"response": {"allowed": true}}`: `failed calling webhook "sees.whalesong.dev"`,
		`nonsense`:                        `failed calling webhook "sees.whalesong.dev": failed to call webhook`,
	}
	for body, want := range bodies {
		say := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
		b.hooks.raw = map[string]http.HandlerFunc{"sees": say}
		_, err := b.make(ctx, "a")
		if !apierrors.IsInternalError(err) {
			return fmt.Errorf("%s: want InternalError, got %v", body, err)
		}
		if err := contains(err, want); err != nil {
			return fmt.Errorf("%s: %w", body, err)
		}
		b.hooks.raw = map[string]http.HandlerFunc{"ignored": say}
		if _, err := b.typed.CoreV1().ConfigMaps(b.namespace).Create(ctx, configMap("a"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			return fmt.Errorf("%s is ignored: %w", body, err)
		}
	}
	b.hooks.raw = nil
	b.hooks.answers["sees"] = patches(`[]`)
	_, err := b.make(ctx, "a")
	return contains(err, "validating webhook may not return response.patch")
}

// slow: a webhook has as long as it is given.
func slow(ctx context.Context, b *bench) error {
	short := onMaps
	short.more = func(m *registration.MutatingWebhook) {
		second := int32(1)
		m.TimeoutSeconds = &second
	}
	if err := b.configure(ctx, short); err != nil {
		return err
	}
	b.hooks.answers["sees"] = func(*admissionv1.AdmissionRequest, *admissionv1.AdmissionResponse) { time.Sleep(3 * time.Second) }
	start := time.Now()
	_, err := b.make(ctx, "a")
	if took := time.Since(start); took > 2500*time.Millisecond {
		return fmt.Errorf("it took %v: %v", took, err)
	}
	return contains(err, `failed calling webhook "sees.whalesong.dev": failed to call webhook: Post "`+b.hooks.server.URL+`/sees?timeout=1s"`, "context deadline exceeded")
}

// authorities: a webhook's certificate has to be of the authority that is given.
func authorities(ctx context.Context, b *bench) error {
	strange := onMaps
	strange.more = func(m *registration.MutatingWebhook) { m.ClientConfig.CABundle = nil }
	if err := b.configure(ctx, strange); err != nil {
		return err
	}
	_, err := b.make(ctx, "a")
	if err := contains(err, `failed calling webhook "sees.whalesong.dev": failed to call webhook`); err != nil {
		return err
	}
	return equal("requests", 0, len(b.hooks.requests("sees")))
}

// statuses: whatever isn't 200 is a failure.
func statuses(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, onMaps); err != nil {
		return err
	}
	for _, code := range []int{http.StatusInternalServerError, http.StatusNotFound, http.StatusForbidden} {
		b.hooks.raw["sees"] = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "boom", code) }
		_, err := b.make(ctx, "a")
		if !apierrors.IsInternalError(err) {
			return fmt.Errorf("%d: want InternalError, got %v", code, err)
		}
		if err := contains(err, `failed calling webhook "sees.whalesong.dev": failed to call webhook`); err != nil {
			return err
		}
	}
	return nil
}

// warned: warnings of all webhooks arrive.
func warned(ctx context.Context, b *bench) error {
	b.hooks.answers["one"] = func(_ *admissionv1.AdmissionRequest, r *admissionv1.AdmissionResponse) {
		r.Warnings = []string{"from one", "twice"}
	}
	b.hooks.answers["sees"] = func(_ *admissionv1.AdmissionRequest, r *admissionv1.AdmissionResponse) {
		r.Allowed, r.Warnings = false, []string{"of a denial, “quoted\""}
	}
	if err := b.configure(ctx, mutatesMaps("one"), onMaps); err != nil {
		return err
	}
	b.warnings.said = nil
	if _, err := b.make(ctx, "a"); err == nil {
		return fmt.Errorf("it was allowed")
	}
	return equal("warnings", []string{"from one", "twice", "of a denial, “quoted\""}, b.warnings.said)
}

// managed: what a webhook adds belongs to nobody.
func managed(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, mutatesMaps("adds")); err != nil {
		return err
	}
	b.hooks.answers["adds"] = patches(`[{"op": "add", "path": "/data/added", "value": "1"}]`)
	made, err := b.make(ctx, "a")
	if err != nil {
		return err
	}
	for _, entry := range made.ManagedFields {
		if strings.Contains(string(entry.FieldsV1.Raw), "f:added") {
			return fmt.Errorf("%s owns what the webhook added", entry.Manager)
		}
	}
	return equal("added", "1", made.Data["added"])
}

// configurations: defaults, and what is refused.
func configurations(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, onMaps); err != nil {
		return err
	}
	api := b.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	none, url := registration.SideEffectClassNone, "https://127.0.0.1:1/x"
	plain := registration.ValidatingWebhook{Name: "a.b.c", ClientConfig: registration.WebhookClientConfig{URL: &url}, SideEffects: &none, AdmissionReviewVersions: []string{"v1"}}
	made, err := api.Create(ctx, &registration.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "defaults"}, Webhooks: []registration.ValidatingWebhook{plain}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = api.Delete(ctx, "defaults", metav1.DeleteOptions{}) }()
	got := made.Webhooks[0]
	err = first(equal("failure policy", registration.Fail, *got.FailurePolicy), equal("match policy", registration.Equivalent, *got.MatchPolicy), equal("timeout", int32(10), *got.TimeoutSeconds),
		equal("namespaces", &metav1.LabelSelector{}, got.NamespaceSelector), equal("objects", &metav1.LabelSelector{}, got.ObjectSelector))
	if err != nil {
		return err
	}
	wrong := plain
	wrong.MatchConditions = []registration.MatchCondition{{Name: "a", Expression: "object."}}
	_, err = api.Create(ctx, &registration.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "wrong"}, Webhooks: []registration.ValidatingWebhook{wrong}}, metav1.CreateOptions{})
	if err := contains(err, "webhooks[0].matchConditions[0].expression", "compilation failed"); err != nil {
		return err
	}
	return nil
}
