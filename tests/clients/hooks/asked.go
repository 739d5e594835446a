package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registration "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

func equal(what string, want, got any) error {
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%s: want %v, got %v", what, want, got)
	}
	return nil
}

// contains looks for words in an error that has to be.
func contains(err error, words ...string) error {
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			return fmt.Errorf("want an error with %q, got: %v", word, err)
		}
	}
	return nil
}

// first is the first error.
func first(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// only is the one request that a webhook got.
func (b *bench) only(name string) (admissionv1.AdmissionRequest, error) {
	all := b.hooks.requests(name)
	if len(all) != 1 {
		return admissionv1.AdmissionRequest{}, fmt.Errorf("%s was asked %d times, not once: %v", name, len(all), summary(all))
	}
	return all[0], nil
}

func summary(all []admissionv1.AdmissionRequest) []string {
	var out []string
	for _, r := range all {
		out = append(out, fmt.Sprintf("%s %s/%s %s", r.Operation, r.Resource.Resource, r.SubResource, r.Name))
	}
	return out
}

func metadataOf(raw []byte) map[string]any {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &object.Object); err != nil {
		return map[string]any{}
	}
	metadata, _, _ := unstructured.NestedMap(object.Object, "metadata")
	return metadata
}

func kindOf(raw []byte) string {
	kind := metav1.TypeMeta{}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return err.Error()
	}
	return kind.APIVersion + " " + kind.Kind
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": "1"}}
}

var onMaps = hook{name: "sees", resources: []string{"configmaps"}}

// asksOfCreate is the whole of a request.
func asksOfCreate(ctx context.Context, b *bench) error {
	mutates := onMaps
	mutates.name, mutates.mutating = "mutates", true
	if err := b.configure(ctx, onMaps, mutates); err != nil {
		return err
	}
	if _, err := b.typed.CoreV1().ConfigMaps(b.namespace).Create(ctx, configMap("a"), metav1.CreateOptions{FieldManager: "me"}); err != nil {
		return err
	}
	for _, name := range []string{"mutates", "sees"} {
		r, err := b.only(name)
		if err != nil {
			return err
		}
		kind, resource := metav1.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, metav1.GroupVersionResource{Version: "v1", Resource: "configmaps"}
		var options metav1.CreateOptions
		if err := json.Unmarshal(r.Options.Raw, &options); err != nil {
			return err
		}
		err = first(equal("kind", kind, r.Kind), equal("request kind", &kind, r.RequestKind), equal("resource", resource, r.Resource), equal("request resource", &resource, r.RequestResource),
			equal("name", "a", r.Name), equal("namespace", b.namespace, r.Namespace), equal("operation", admissionv1.Create, r.Operation), equal("object", "v1 ConfigMap", kindOf(r.Object.Raw)),
			equal("old object", "", strings.TrimPrefix(string(r.OldObject.Raw), "null")), equal("dry run", false, *r.DryRun), equal("options", "meta.k8s.io/v1 CreateOptions", kindOf(r.Options.Raw)),
			equal("manager", "me", options.FieldManager), equal("namespace of the object", any(b.namespace), metadataOf(r.Object.Raw)["namespace"]))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !strings.Contains(strings.Join(r.UserInfo.Groups, " "), "system:masters") || r.UserInfo.Username == "" || r.UID == "" {
			return fmt.Errorf("%s: uid %q, user %v", name, r.UID, r.UserInfo)
		}
		if metadataOf(r.Object.Raw)["managedFields"] == nil {
			return fmt.Errorf("%s: no managed fields", name)
		}
	}
	// by the time of validation the object has got what the server gives it
	validated := metadataOf(b.hooks.requests("sees")[0].Object.Raw)
	if validated["uid"] == nil || validated["creationTimestamp"] == nil {
		return fmt.Errorf("the validated object has %v", validated)
	}
	if query := b.hooks.queries[0]; query != "timeout=5s" {
		return fmt.Errorf("the query was %q", query)
	}
	// a name that is made up comes before validation only
	generated := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "made-"}}
	b.hooks.forget()
	if _, err := b.typed.CoreV1().ConfigMaps(b.namespace).Create(ctx, generated, metav1.CreateOptions{}); err != nil {
		return err
	}
	m, v := b.hooks.requests("mutates")[0], b.hooks.requests("sees")[0]
	if m.Name != "" || metadataOf(v.Object.Raw)["name"] == nil {
		return fmt.Errorf("a made name: %q and then %v", m.Name, metadataOf(v.Object.Raw)["name"])
	}
	return nil
}

func asksOfUpdate(ctx context.Context, b *bench) error {
	maps := b.typed.CoreV1().ConfigMaps(b.namespace)
	if _, err := maps.Create(ctx, configMap("a"), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := b.configure(ctx, onMaps); err != nil {
		return err
	}
	changed := configMap("a")
	changed.Data["a"] = "2"
	if _, err := maps.Update(ctx, changed, metav1.UpdateOptions{}); err != nil {
		return err
	}
	r, err := b.only("sees")
	if err != nil {
		return err
	}
	err = first(equal("operation", admissionv1.Update, r.Operation), equal("options", "meta.k8s.io/v1 UpdateOptions", kindOf(r.Options.Raw)), equal("kind of the old one", "v1 ConfigMap", kindOf(r.OldObject.Raw)))
	if err != nil {
		return err
	}
	if !strings.Contains(string(r.Object.Raw), `"a":"2"`) || !strings.Contains(string(r.OldObject.Raw), `"a":"1"`) {
		return fmt.Errorf("objects: %s and %s", r.OldObject.Raw, r.Object.Raw)
	}
	b.hooks.forget()
	if _, err := maps.Patch(ctx, "a", types.MergePatchType, []byte(`{"data": {"a": "3"}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	if r, err = b.only("sees"); err != nil {
		return err
	}
	return first(equal("operation", admissionv1.Update, r.Operation), equal("options of a patch", "meta.k8s.io/v1 UpdateOptions", kindOf(r.Options.Raw)))
}

func asksOfDelete(ctx context.Context, b *bench) error {
	maps := b.typed.CoreV1().ConfigMaps(b.namespace)
	if _, err := maps.Create(ctx, configMap("a"), metav1.CreateOptions{}); err != nil {
		return err
	}
	mutates := onMaps
	mutates.name, mutates.mutating = "mutates", true
	if err := b.configure(ctx, onMaps, mutates); err != nil {
		return err
	}
	b.hooks.answers["sees"] = func(_ *admissionv1.AdmissionRequest, response *admissionv1.AdmissionResponse) {
		response.Allowed = false
	}
	if err := contains(maps.Delete(ctx, "a", metav1.DeleteOptions{}), `admission webhook "sees.whalesong.dev" denied the request without explanation`); err != nil {
		return err
	}
	b.hooks.answers["sees"] = nil
	b.hooks.forget()
	if err := maps.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		return err
	}
	r, err := b.only("sees")
	if err != nil {
		return err
	}
	if _, err := b.only("mutates"); err != nil {
		return err
	}
	return first(equal("operation", admissionv1.Delete, r.Operation), equal("name", "a", r.Name), equal("options", "meta.k8s.io/v1 DeleteOptions", kindOf(r.Options.Raw)),
		equal("object", "", strings.TrimPrefix(string(r.Object.Raw), "null")), equal("old object", "v1 ConfigMap", kindOf(r.OldObject.Raw)))
}

// asksOfCollection: validating webhooks are asked of each object.
func asksOfCollection(ctx context.Context, b *bench) error {
	maps := b.typed.CoreV1().ConfigMaps(b.namespace)
	for _, name := range []string{"a", "b", "kept"} {
		if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"test": "yes"}}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if err := b.configure(ctx, onMaps); err != nil {
		return err
	}
	b.hooks.answers["sees"] = func(r *admissionv1.AdmissionRequest, response *admissionv1.AdmissionResponse) {
		response.Allowed = r.Name != "kept"
	}
	err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "test=yes"})
	if err := contains(err, "denied the request"); err != nil {
		return err
	}
	if _, err := maps.Get(ctx, "kept", metav1.GetOptions{}); err != nil {
		return err
	}
	for _, r := range b.hooks.requests("sees") {
		if r.Operation != admissionv1.Delete || r.Name == "" {
			return fmt.Errorf("asked %v", summary(b.hooks.requests("sees")))
		}
	}
	return nil
}

// asksOfApply: an applied configuration is a creation or an update.
func asksOfApply(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, onMaps); err != nil {
		return err
	}
	for _, operation := range []admissionv1.Operation{admissionv1.Create, admissionv1.Update} {
		b.hooks.forget()
		wanted := corev1apply.ConfigMap("applied", b.namespace).WithData(map[string]string{"by": string(operation)})
		if _, err := b.typed.CoreV1().ConfigMaps(b.namespace).Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "me", Force: true}); err != nil {
			return err
		}
		r, err := b.only("sees")
		if err != nil {
			return err
		}
		options := "meta.k8s.io/v1 UpdateOptions"
		if operation == admissionv1.Create {
			options = "meta.k8s.io/v1 CreateOptions"
		}
		if err := first(equal("operation", operation, r.Operation), equal("options of "+string(operation), options, kindOf(r.Options.Raw))); err != nil {
			return err
		}
	}
	return nil
}

func asksOfDryRun(ctx context.Context, b *bench) error {
	some := onMaps
	some.name = "dry"
	some.more = func(m *registration.MutatingWebhook) {
		on := registration.SideEffectClassNoneOnDryRun
		m.SideEffects = &on
	}
	if err := b.configure(ctx, onMaps, some); err != nil {
		return err
	}
	made, err := b.typed.CoreV1().ConfigMaps(b.namespace).Create(ctx, configMap("a"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil || made.UID == "" {
		return fmt.Errorf("the dry run: %v, %v", made, err)
	}
	for _, name := range []string{"sees", "dry"} {
		r, err := b.only(name)
		if err != nil {
			return err
		}
		if r.DryRun == nil || !*r.DryRun {
			return fmt.Errorf("%s was not told of the dry run", name)
		}
	}
	return nil
}

func deployment(replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	container := corev1.Container{Name: "web", Image: "localhost/web:v1"}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{container}}}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template}}
}

// asksOfSubresources: a rule names them, and a resource's own rule doesn't mean them.
func asksOfSubresources(ctx context.Context, b *bench) error {
	if _, err := b.typed.AppsV1().Deployments(b.namespace).Create(ctx, deployment(0), metav1.CreateOptions{}); err != nil {
		return err
	}
	rules := []hook{{name: "plain", group: "apps", resources: []string{"deployments"}}, {name: "scale", group: "apps", resources: []string{"deployments/scale"}},
		{name: "any", group: "apps", resources: []string{"deployments/*"}}, {name: "all", group: "*", resources: []string{"*/*"}}, {name: "tops", group: "*", resources: []string{"*"}},
		{name: "token", resources: []string{"serviceaccounts/token"}}}
	if err := b.configure(ctx, rules...); err != nil {
		return err
	}
	time.Sleep(time.Second) // the controller has done what it does at the start
	b.hooks.forget()
	if _, err := b.typed.AppsV1().Deployments(b.namespace).UpdateScale(ctx, "web", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: b.namespace}}, metav1.UpdateOptions{}); err != nil {
		return err
	}
	r, err := b.only("scale")
	if err != nil {
		return err
	}
	err = first(equal("kind", metav1.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}, r.Kind), equal("subresource", "scale", r.SubResource), equal("request subresource", "scale", r.RequestSubResource),
		equal("resource", metav1.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, r.Resource), equal("object", "autoscaling/v1 Scale", kindOf(r.Object.Raw)), equal("old object", "autoscaling/v1 Scale", kindOf(r.OldObject.Raw)))
	if err != nil {
		return err
	}
	for name, want := range map[string]int{"plain": 0, "any": 1, "all": 1, "tops": 0} {
		if got := scales(b.hooks.requests(name)); got != want {
			return fmt.Errorf("%s was asked %d times of the scale, not %d", name, got, want)
		}
	}
	if _, err := b.typed.CoreV1().ServiceAccounts(b.namespace).CreateToken(ctx, "default", tokenRequest(), metav1.CreateOptions{}); err != nil {
		return err
	}
	if r, err = b.only("token"); err != nil {
		return err
	}
	return first(equal("operation", admissionv1.Create, r.Operation), equal("name", "default", r.Name), equal("object", "authentication.k8s.io/v1 TokenRequest", kindOf(r.Object.Raw)))
}

func scales(all []admissionv1.AdmissionRequest) int {
	count := 0
	for _, r := range all {
		if r.SubResource == "scale" {
			count++
		}
	}
	return count
}

func pod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "localhost/web:v1"}}}}
}

// asksOfExec: connections are asked about before they are made.
func asksOfExec(ctx context.Context, b *bench) error {
	if _, err := b.typed.CoreV1().Pods(b.namespace).Create(ctx, pod(), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := b.configure(ctx, hook{name: "exec", resources: []string{"pods/exec"}, operations: []registration.OperationType{registration.Connect}}); err != nil {
		return err
	}
	b.hooks.answers["exec"] = func(_ *admissionv1.AdmissionRequest, response *admissionv1.AdmissionResponse) {
		response.Allowed, response.Result = false, &metav1.Status{Message: "no shells here"}
	}
	call := b.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(b.namespace).Name("a").SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"sh"}, Stdout: true}, scheme.ParameterCodec)
	if err := contains(call.Do(ctx).Error(), "no shells here"); err != nil {
		return err
	}
	r, err := b.only("exec")
	if err != nil {
		return err
	}
	if !strings.Contains(string(r.Object.Raw), `"command":["sh"]`) {
		return fmt.Errorf("the object is %s", r.Object.Raw)
	}
	return first(equal("operation", admissionv1.Connect, r.Operation), equal("kind", metav1.GroupVersionKind{Version: "v1", Kind: "PodExecOptions"}, r.Kind), equal("name", "a", r.Name), equal("subresource", "exec", r.SubResource))
}

func asksOfEviction(ctx context.Context, b *bench) error {
	if _, err := b.typed.CoreV1().Pods(b.namespace).Create(ctx, pod(), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := b.configure(ctx, hook{name: "evicts", resources: []string{"pods/eviction"}}, hook{name: "deletes", resources: []string{"pods"}, operations: []registration.OperationType{registration.Delete}}); err != nil {
		return err
	}
	if err := b.typed.PolicyV1().Evictions(b.namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: b.namespace}}); err != nil {
		return err
	}
	r, err := b.only("evicts")
	if err != nil {
		return err
	}
	return first(equal("operation", admissionv1.Create, r.Operation), equal("kind", metav1.GroupVersionKind{Group: "policy", Version: "v1", Kind: "Eviction"}, r.Kind), equal("name", "a", r.Name))
}

// asksOfControllers: what controllers write is asked about as well, in their names.
func asksOfControllers(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, hook{name: "sets", group: "apps", resources: []string{"replicasets"}, operations: []registration.OperationType{registration.Create}}); err != nil {
		return err
	}
	if _, err := b.typed.AppsV1().Deployments(b.namespace).Create(ctx, deployment(1), metav1.CreateOptions{}); err != nil {
		return err
	}
	for len(b.hooks.requests("sets")) == 0 && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	all := b.hooks.requests("sets")
	if len(all) == 0 {
		return fmt.Errorf("nobody asked about the replica set")
	}
	if user := all[0].UserInfo.Username; user != "system:kube-controller-manager" && user != "system:serviceaccount:kube-system:deployment-controller" {
		return fmt.Errorf("%s asked", user)
	}
	return nil
}

func scaler(version string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "autoscaling/" + version, "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{"maxReplicas": int64(3), "scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}}}
}

// asksOfEquivalent: a rule for one version means the others too, in the one that it names.
func asksOfEquivalent(ctx context.Context, b *bench) error {
	if err := b.configure(ctx, hook{name: "scalers", group: "autoscaling", versions: []string{"v2"}, resources: []string{"horizontalpodautoscalers"}}); err != nil {
		return err
	}
	older := autoscalingv1.SchemeGroupVersion.WithResource("horizontalpodautoscalers")
	if _, err := b.dynamic.Resource(older).Namespace(b.namespace).Create(ctx, scaler("v1"), metav1.CreateOptions{}); err != nil {
		return err
	}
	r, err := b.only("scalers")
	if err != nil {
		return err
	}
	return first(equal("kind", "v2", r.Kind.Version), equal("resource", "v2", r.Resource.Version), equal("request kind", "v1", r.RequestKind.Version), equal("request resource", "v1", r.RequestResource.Version),
		equal("object", "autoscaling/v2 HorizontalPodAutoscaler", kindOf(r.Object.Raw)))
}

// asksExactly: unless the rule says otherwise.
func asksExactly(ctx context.Context, b *bench) error {
	exact := func(m *registration.MutatingWebhook) {
		policy := registration.Exact
		m.MatchPolicy = &policy
	}
	if err := b.configure(ctx, hook{name: "scalers", group: "autoscaling", versions: []string{"v2"}, resources: []string{"horizontalpodautoscalers"}, more: exact}); err != nil {
		return err
	}
	older := autoscalingv1.SchemeGroupVersion.WithResource("horizontalpodautoscalers")
	if _, err := b.dynamic.Resource(older).Namespace(b.namespace).Create(ctx, scaler("v1"), metav1.CreateOptions{}); err != nil {
		return err
	}
	return equal("requests", 0, len(b.hooks.requests("scalers")))
}

// asksByScope: rules for objects of the cluster and of namespaces, and the namespace's own labels.
func asksByScope(ctx context.Context, b *bench) error {
	scoped := func(scope registration.ScopeType) func(*registration.MutatingWebhook) {
		return func(m *registration.MutatingWebhook) {
			m.Rules[0].Scope = &scope
			m.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"scoped": "yes"}}
		}
	}
	labelled := func(m *registration.MutatingWebhook) {
		m.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"of": b.namespace}}
	}
	all := []hook{{name: "cluster", group: "*", resources: []string{"*"}, more: scoped(registration.ClusterScope)}, {name: "namespaced", group: "*", resources: []string{"*"}, more: scoped(registration.NamespacedScope)},
		{name: "namespaces", resources: []string{"namespaces"}, operations: []registration.OperationType{registration.Create}, more: labelled}}
	if err := b.configure(ctx, all...); err != nil {
		return err
	}
	metadata := metav1.ObjectMeta{Name: b.namespace + "-scoped", Labels: map[string]string{"scoped": "yes", "of": b.namespace}}
	if _, err := b.typed.CoreV1().ConfigMaps(b.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metadata}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := b.typed.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metadata}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := b.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metadata}, metav1.CreateOptions{}); err != nil {
		return err
	}
	c, err := b.only("cluster")
	if err != nil {
		return err
	}
	n, err := b.only("namespaced")
	if err != nil {
		return err
	}
	s, err := b.only("namespaces")
	if err != nil {
		return err
	}
	return first(equal("of the cluster", "clusterroles", c.Resource.Resource), equal("of a namespace", "configmaps", n.Resource.Resource), equal("a namespace's own", metadata.Name, s.Namespace))
}

// ownConfigurations: nobody can lock himself out by a webhook on webhooks.
func ownConfigurations(ctx context.Context, b *bench) error {
	everywhere := func(m *registration.MutatingWebhook) { m.NamespaceSelector = nil }
	if err := b.configure(ctx, hook{name: "own", group: "admissionregistration.k8s.io", resources: []string{"*"}, more: everywhere}); err != nil {
		return err
	}
	api := b.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := api.Patch(ctx, b.namespace, types.MergePatchType, []byte(`{"metadata": {"labels": {"a": "b"}}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	return equal("requests", 0, len(b.hooks.requests("own")))
}
