package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "whalesong.dev/clients/controller-runtime/api/v1"
)

// untyped are objects without their types, and their metadata alone.
func untyped(ctx context.Context, b *bench) error {
	made, err := b.greeter(ctx, "a")
	if err != nil {
		return err
	}
	object, metadata := &unstructured.Unstructured{}, &metav1.PartialObjectMetadata{}
	kind := v1.GroupVersion.WithKind("Greeter")
	object.SetGroupVersionKind(kind)
	metadata.SetGroupVersionKind(kind)
	if err := b.Get(ctx, client.ObjectKeyFromObject(made), object); err != nil {
		return err
	}
	if err := b.Get(ctx, client.ObjectKeyFromObject(made), metadata); err != nil {
		return err
	}
	before := metadata.DeepCopy()
	metadata.Annotations = map[string]string{"by": "metadata"}
	if err := b.Patch(ctx, metadata, client.MergeFrom(before)); err != nil {
		return err
	}
	all := &metav1.PartialObjectMetadataList{}
	all.SetGroupVersionKind(v1.GroupVersion.WithKind("GreeterList"))
	if err := b.List(ctx, all, client.InNamespace(b.namespace)); err != nil {
		return err
	}
	message, _, _ := unstructured.NestedString(object.Object, "spec", "message")
	return first(holds(message == "hello", "it says %q", message), holds(len(all.Items) == 1 && all.Items[0].Annotations["by"] == "metadata", "metadata: %v", all.Items))
}

// lists are limited, selected and watched.
func lists(ctx context.Context, b *bench) error {
	feed, err := b.Watch(ctx, &v1.GreeterList{}, client.InNamespace(b.namespace), client.MatchingLabels{"test": "yes"})
	if err != nil {
		return err
	}
	defer feed.Stop()
	for n := range 5 {
		if _, err := b.greeter(ctx, fmt.Sprint("g", n)); err != nil {
			return err
		}
	}
	for n := range 5 {
		event := <-feed.ResultChan()
		greeter, ok := event.Object.(*v1.Greeter)
		if !ok || event.Type != watch.Added || greeter.Name != fmt.Sprint("g", n) {
			return fmt.Errorf("event %d is %s %v", n, event.Type, event.Object)
		}
	}
	page := &v1.GreeterList{}
	if err := b.List(ctx, page, client.InNamespace(b.namespace), client.Limit(2)); err != nil {
		return err
	}
	rest := &v1.GreeterList{}
	if err := b.List(ctx, rest, client.InNamespace(b.namespace), client.Continue(page.Continue)); err != nil {
		return err
	}
	one := &v1.GreeterList{}
	if err := b.List(ctx, one, client.InNamespace(b.namespace), client.MatchingFields{"metadata.name": "g3"}); err != nil {
		return err
	}
	return holds(len(page.Items) == 2 && len(rest.Items) == 3 && len(one.Items) == 1, "%d, %d and %d", len(page.Items), len(rest.Items), len(one.Items))
}

// wrapped are clients that only try, that own fields, that are strict.
func wrapped(ctx context.Context, b *bench) error {
	tries := client.NewDryRunClient(b)
	dry := &v1.Greeter{ObjectMeta: metav1.ObjectMeta{Name: "dry", Namespace: b.namespace}}
	if err := tries.Create(ctx, dry); err != nil {
		return err
	}
	missing := b.Get(ctx, client.ObjectKeyFromObject(dry), &v1.Greeter{})
	owned := &v1.Greeter{ObjectMeta: metav1.ObjectMeta{Name: "owned", Namespace: b.namespace}, Spec: v1.GreeterSpec{Message: "a"}}
	if err := client.WithFieldOwner(b, "me").Create(ctx, owned); err != nil {
		return err
	}
	unknown := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"unknown": true}}}
	unknown.SetGroupVersionKind(v1.GroupVersion.WithKind("Greeter"))
	unknown.SetName("strict")
	unknown.SetNamespace(b.namespace)
	strict := client.WithFieldValidation(b, metav1.FieldValidationStrict).Create(ctx, unknown)
	return first(holds(dry.UID != "" && apierrors.IsNotFound(missing), "the dry run: %q, %v", dry.UID, missing), holds(owned.ManagedFields[0].Manager == "me", "managed: %v", owned.ManagedFields),
		holds(apierrors.IsBadRequest(strict), "an unknown field: %v", strict))
}

// cached reads come from a cache that holds what is selected, and from an index.
func cached(ctx context.Context, b *bench) error {
	selected := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{"test": "yes"}), Field: fields.OneTermNotEqualSelector("metadata.name", "hidden")}
	held, err := cache.New(b.config, cache.Options{Scheme: b.scheme, DefaultNamespaces: map[string]cache.Config{b.namespace: {}}, ByObject: map[client.Object]cache.ByObject{&v1.Greeter{}: selected}})
	if err != nil {
		return err
	}
	byMessage := func(o client.Object) []string { return []string{o.(*v1.Greeter).Spec.Message} }
	if err := held.IndexField(ctx, &v1.Greeter{}, "message", byMessage); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- held.Start(ctx) }()
	for _, name := range []string{"seen", "hidden"} {
		if _, err := b.greeter(ctx, name); err != nil {
			return err
		}
	}
	found := &v1.GreeterList{}
	see := func() bool {
		return held.List(ctx, found, client.InNamespace(b.namespace), client.MatchingFields{"message": "hello"}) == nil && len(found.Items) > 0
	}
	if err := b.until(ctx, see); err != nil {
		return err
	}
	metadata := &metav1.PartialObjectMetadataList{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := held.List(ctx, metadata, client.InNamespace(b.namespace)); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return holds(len(found.Items) == 1 && found.Items[0].Name == "seen", "the cache has %v", found.Items)
	}
}
