package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

var maps = corev1.SchemeGroupVersion.WithResource("configmaps")

func tested(options *metav1.ListOptions) { options.LabelSelector = "test=yes" }

// typed is an informer of a typed client, over objects that are there and objects that come, change and go.
func typed(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "typed")
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c.typed, 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(tested))
	if err := c.lives(ctx, namespace, factory.Core().V1().ConfigMaps().Informer()); err != nil {
		return err
	}
	some, err := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(namespace).List(labels.SelectorFromSet(labels.Set{"third": "yes"}))
	if err != nil {
		return err
	}
	if len(some) != (whole-30)/3 {
		return fmt.Errorf("the lister has %d of a label, not %d", len(some), (whole-30)/3)
	}
	return nil
}

// protobuf is the same by a client that asks for protobuf.
func protobuf(ctx context.Context, c *clients) error {
	if err := typed(ctx, c); err != nil {
		return err
	}
	return c.requests.answeredAs("application/vnd.kubernetes.protobuf")
}

// cbor is the dynamic one by a client that asks for CBOR, which the suite's environment has it do.
func cbor(ctx context.Context, c *clients) error {
	if err := dynamicKinds(ctx, c); err != nil {
		return err
	}
	return c.requests.answeredAs("application/cbor")
}

// lives has an informer see a namespace's config maps: those that are there, and their creation, change and deletion.
func (c *clients) lives(ctx context.Context, namespace string, informer cache.SharedIndexInformer) error {
	if err := c.fill(ctx, namespace, 0, half); err != nil {
		return err
	}
	c.requests.forget()
	seen, err := follow(ctx, informer)
	if err != nil {
		return err
	}
	if n := seen.added.Load(); n != half {
		return fmt.Errorf("after the start %d were added, not %d", n, half)
	}
	if !c.requests.streamed() {
		return fmt.Errorf("the start was no stream: lists %q, watches %q", c.requests.lists, c.requests.feeds)
	}
	if err := c.fill(ctx, namespace, half, whole); err != nil {
		return err
	}
	if err := c.change(ctx, namespace, 30); err != nil {
		return err
	}
	if err := until(ctx, "all changes", seen, func() bool { return seen.deleted.Load() == 30 && seen.updated.Load() == 30 }); err != nil {
		return err
	}
	if n := seen.added.Load(); n != whole || len(informer.GetStore().List()) != whole-30 {
		return fmt.Errorf("%d were added and %d are held, not %d and %d", n, len(informer.GetStore().List()), whole, whole-30)
	}
	return nil
}

// dynamicKinds is the same without types.
func dynamicKinds(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "dynamic")
	if err != nil {
		return err
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.dynamic, 0, namespace, tested)
	informer := factory.ForResource(maps).Informer()
	if err := c.lives(ctx, namespace, informer); err != nil {
		return err
	}
	for _, held := range informer.GetStore().List() {
		object := held.(*unstructured.Unstructured)
		if object.GetKind() != "ConfigMap" || object.GetAPIVersion() != "v1" {
			return fmt.Errorf("%s is a %s of %s", object.GetName(), object.GetKind(), object.GetAPIVersion())
		}
	}
	return nil
}

// custom is an informer of a custom resource, which the suite has defined.
func custom(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "custom")
	if err != nil {
		return err
	}
	charts := schema.GroupVersionResource{Group: "clients.whalesong.dev", Version: "v1", Resource: "charts"}
	seen, err := follow(ctx, dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.dynamic, 0, namespace, nil).ForResource(charts).Informer())
	if err != nil {
		return err
	}
	for n := range 10 {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "clients.whalesong.dev/v1", "kind": "Chart",
			"metadata": map[string]any{"name": fmt.Sprintf("chart-%d", n)}, "spec": map[string]any{"size": int64(n + 1)}}}
		if _, err := c.dynamic.Resource(charts).Namespace(namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return until(ctx, "ten charts", seen, func() bool { return seen.added.Load() == 10 })
}

// metadataOnly is an informer that gets nothing but metadata.
func metadataOnly(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "metadata")
	if err != nil {
		return err
	}
	factory := metadatainformer.NewFilteredSharedInformerFactory(c.metadata, 0, namespace, tested)
	informer := factory.ForResource(maps).Informer()
	if err := c.lives(ctx, namespace, informer); err != nil {
		return err
	}
	for _, held := range informer.GetStore().List() {
		object := held.(*metav1.PartialObjectMetadata)
		if object.Labels["test"] != "yes" || object.UID == "" {
			return fmt.Errorf("%s has uid %q and labels %v", object.Name, object.UID, object.Labels)
		}
	}
	return nil
}
