package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	conversionv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Pairs have two words: v1, which is stored, holds both in one field, v2 has a field for each.

func (h *hooks) convert(w http.ResponseWriter, r *http.Request) {
	review := &conversionv1.ConversionReview{}
	if err := json.NewDecoder(r.Body).Decode(review); err != nil || review.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	h.mutex.Lock()
	h.converted = append(h.converted, *review.Request)
	change := h.converts
	h.mutex.Unlock()
	response := &conversionv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	for _, object := range review.Request.Objects {
		response.ConvertedObjects = append(response.ConvertedObjects, runtime.RawExtension{Raw: convertPair(object.Raw, review.Request.DesiredAPIVersion)})
	}
	if change != nil {
		change(review.Request, response)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(&conversionv1.ConversionReview{TypeMeta: review.TypeMeta, Response: response}); err != nil {
		return // the server has gone away
	}
}

func convertPair(raw []byte, version string) []byte {
	pair := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &pair.Object); err != nil {
		return raw
	}
	pair.SetAPIVersion(version)
	both, stored, _ := unstructured.NestedString(pair.Object, "spec", "both")
	left, _, _ := unstructured.NestedString(pair.Object, "spec", "left")
	right, _, _ := unstructured.NestedString(pair.Object, "spec", "right")
	spec := map[string]any{"both": left + " " + right}
	if stored {
		words := append(strings.SplitN(both, " ", 2), "")
		spec = map[string]any{"left": words[0], "right": words[1]}
	}
	pair.Object["spec"] = spec
	out, err := json.Marshal(pair.Object)
	if err != nil {
		return raw
	}
	return out
}

// edited has a converter's objects changed before they are answered.
func edited(edit func(map[string]any)) func(*conversionv1.ConversionRequest, *conversionv1.ConversionResponse) {
	return func(_ *conversionv1.ConversionRequest, response *conversionv1.ConversionResponse) {
		for n := range response.ConvertedObjects {
			object := map[string]any{}
			if err := json.Unmarshal(response.ConvertedObjects[n].Raw, &object); err != nil {
				continue
			}
			edit(object)
			raw, err := json.Marshal(object)
			if err == nil {
				response.ConvertedObjects[n].Raw = raw
			}
		}
	}
}

func (h *hooks) conversions() []conversionv1.ConversionRequest {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return append([]conversionv1.ConversionRequest{}, h.converted...)
}

func words(names ...string) conversionv1.JSONSchemaProps {
	spec := conversionv1.JSONSchemaProps{Type: "object", Properties: map[string]conversionv1.JSONSchemaProps{}}
	for _, name := range names {
		longest := int64(20)
		spec.Properties[name] = conversionv1.JSONSchemaProps{Type: "string", MaxLength: &longest}
	}
	status := conversionv1.JSONSchemaProps{Type: "object", Properties: map[string]conversionv1.JSONSchemaProps{"seen": {Type: "boolean"}}}
	return conversionv1.JSONSchemaProps{Type: "object", Properties: map[string]conversionv1.JSONSchemaProps{"spec": spec, "status": status}}
}

// define makes the kind of a check, in a group of its own.
func (b *bench) define(ctx context.Context) error {
	group, url := b.namespace+".whalesong.dev", b.hooks.server.URL+"/convert"
	one, two := words("both"), words("left", "right")
	status := &conversionv1.CustomResourceSubresources{Status: &conversionv1.CustomResourceSubresourceStatus{}}
	hook := &conversionv1.WebhookConversion{ConversionReviewVersions: []string{"v1"}, ClientConfig: &conversionv1.WebhookClientConfig{URL: &url, CABundle: b.hooks.authority}}
	definition := &conversionv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "pairs." + group}, Spec: conversionv1.CustomResourceDefinitionSpec{
		Group: group, Scope: conversionv1.NamespaceScoped, Names: conversionv1.CustomResourceDefinitionNames{Plural: "pairs", Kind: "Pair"},
		Conversion: &conversionv1.CustomResourceConversion{Strategy: conversionv1.WebhookConverter, Webhook: hook},
		Versions: []conversionv1.CustomResourceDefinitionVersion{
			{Name: "v1", Served: true, Storage: true, Subresources: status, Schema: &conversionv1.CustomResourceValidation{OpenAPIV3Schema: &one}},
			{Name: "v2", Served: true, Subresources: status, Schema: &conversionv1.CustomResourceValidation{OpenAPIV3Schema: &two}},
		},
	}}
	if _, err := b.kinds.ApiextensionsV1().CustomResourceDefinitions().Create(ctx, definition, metav1.CreateOptions{}); err != nil {
		return err
	}
	return b.until(ctx, func() bool {
		_, err := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace).List(ctx, metav1.ListOptions{})
		return err == nil
	})
}

func (b *bench) pairs(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: b.namespace + ".whalesong.dev", Version: version, Resource: "pairs"}
}

func (b *bench) pair(version, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": b.pairs(version).GroupVersion().String(), "kind": "Pair", "metadata": map[string]any{"name": name, "labels": map[string]any{"a": "b"}}, "spec": spec}}
}

func (b *bench) makePair(ctx context.Context, version, name string, spec map[string]any) (*unstructured.Unstructured, error) {
	return b.dynamic.Resource(b.pairs(version)).Namespace(b.namespace).Create(ctx, b.pair(version, name, spec), metav1.CreateOptions{})
}
