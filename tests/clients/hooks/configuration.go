package main

import (
	"context"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hook is a webhook that is to be configured: its name is its path on the server.
type hook struct {
	name       string
	mutating   bool
	group      string
	versions   []string
	resources  []string
	operations []admissionv1.OperationType
	more       func(*admissionv1.MutatingWebhook)
}

func (h hook) rule() admissionv1.RuleWithOperations {
	operations, versions := h.operations, h.versions
	if operations == nil {
		operations = []admissionv1.OperationType{admissionv1.OperationAll}
	}
	if versions == nil {
		versions = []string{"v1"}
	}
	return admissionv1.RuleWithOperations{Operations: operations, Rule: admissionv1.Rule{APIGroups: []string{h.group}, APIVersions: versions, Resources: h.resources}}
}

// webhook is the configuration of one, restricted to the check's namespace.
func (b *bench) webhook(h hook) admissionv1.MutatingWebhook {
	url, none, seconds := b.hooks.server.URL+"/"+h.name, admissionv1.SideEffectClassNone, int32(5)
	webhook := admissionv1.MutatingWebhook{
		Name: h.name + ".whalesong.dev", ClientConfig: admissionv1.WebhookClientConfig{URL: &url, CABundle: b.hooks.authority},
		Rules: []admissionv1.RuleWithOperations{h.rule()}, SideEffects: &none, TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": b.namespace}},
	}
	if h.more != nil {
		h.more(&webhook)
	}
	return webhook
}

func validating(m admissionv1.MutatingWebhook) admissionv1.ValidatingWebhook {
	return admissionv1.ValidatingWebhook{
		Name: m.Name, ClientConfig: m.ClientConfig, Rules: m.Rules, SideEffects: m.SideEffects, TimeoutSeconds: m.TimeoutSeconds, FailurePolicy: m.FailurePolicy,
		AdmissionReviewVersions: m.AdmissionReviewVersions, NamespaceSelector: m.NamespaceSelector, ObjectSelector: m.ObjectSelector, MatchPolicy: m.MatchPolicy,
		MatchConditions: m.MatchConditions,
	}
}

// marker is a webhook beside those of a check that sees when they are in force.
func (b *bench) marker() admissionv1.MutatingWebhook {
	selects := func(m *admissionv1.MutatingWebhook) {
		m.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"marker": "yes"}}
	}
	return b.webhook(hook{name: "marker", resources: []string{"configmaps"}, more: selects})
}

// configure has the API ask webhooks, and returns once it does.
func (b *bench) configure(ctx context.Context, all ...hook) error {
	metadata := metav1.ObjectMeta{Name: b.namespace}
	mutates := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metadata}
	validates := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metadata}
	for _, h := range all {
		if h.mutating {
			mutates.Webhooks = append(mutates.Webhooks, b.webhook(h))
		} else {
			validates.Webhooks = append(validates.Webhooks, validating(b.webhook(h)))
		}
	}
	mutates.Webhooks = append(mutates.Webhooks, b.marker())
	validates.Webhooks = append(validates.Webhooks, validating(b.marker()))
	api := b.typed.AdmissionregistrationV1()
	if _, err := api.MutatingWebhookConfigurations().Create(ctx, mutates, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := api.ValidatingWebhookConfigurations().Create(ctx, validates, metav1.CreateOptions{}); err != nil {
		return err
	}
	return b.inForce(ctx)
}

func (b *bench) inForce(ctx context.Context) error {
	for ctx.Err() == nil {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "marker", Labels: map[string]string{"marker": "yes"}}}
		_, _ = b.typed.CoreV1().ConfigMaps(b.namespace).Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if len(b.hooks.requests("marker")) >= 2 {
			b.hooks.forget()
			return nil
		}
		b.hooks.forget()
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the webhooks were never asked")
}

func (b *bench) makeNamespace(ctx context.Context) error {
	_, err := b.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}, metav1.CreateOptions{})
	for err == nil {
		if _, missing := b.typed.CoreV1().ServiceAccounts(b.namespace).Get(ctx, "default", metav1.GetOptions{}); missing == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
		err = ctx.Err()
	}
	return err
}

// clean takes away what stands in others' way, whatever became of the check.
func (b *bench) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	api := b.typed.AdmissionregistrationV1()
	_ = api.MutatingWebhookConfigurations().Delete(ctx, b.namespace, metav1.DeleteOptions{})
	_ = api.ValidatingWebhookConfigurations().Delete(ctx, b.namespace, metav1.DeleteOptions{})
	_ = b.kinds.ApiextensionsV1().CustomResourceDefinitions().Delete(ctx, "pairs."+b.namespace+".whalesong.dev", metav1.DeleteOptions{})
	_ = b.typed.CoreV1().Namespaces().Delete(ctx, b.namespace, metav1.DeleteOptions{})
}
