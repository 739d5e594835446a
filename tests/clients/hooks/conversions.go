package main

import (
	"context"
	"fmt"
	"time"

	conversionv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func (b *bench) until(ctx context.Context, condition func() bool) error {
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("it didn't become so within 20 s")
		}
	}
	return nil
}

func spec(object *unstructured.Unstructured) map[string]any {
	spec, _, _ := unstructured.NestedMap(object.Object, "spec")
	return spec
}

// conversion is the whole of a request, for a read in another version.
func conversion(ctx context.Context, b *bench) error {
	if err := b.define(ctx); err != nil {
		return err
	}
	made, err := b.makePair(ctx, "v1", "a", map[string]any{"both": "this that"})
	if err != nil {
		return err
	}
	b.hooks.forget()
	read, err := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace).Get(ctx, "a", metav1.GetOptions{})
	if err != nil {
		return err
	}
	all := b.hooks.conversions()
	if len(all) != 1 || len(all[0].Objects) != 1 {
		return fmt.Errorf("asked %d times", len(all))
	}
	metadata := metadataOf(all[0].Objects[0].Raw)
	return first(equal("spec", map[string]any{"left": "this", "right": "that"}, spec(read)), equal("version", b.pairs("v2").GroupVersion().String(), read.GetAPIVersion()),
		equal("desired", b.pairs("v2").GroupVersion().String(), all[0].DesiredAPIVersion), equal("object", b.pairs("v1").GroupVersion().String()+" Pair", kindOf(all[0].Objects[0].Raw)),
		equal("uid", any(string(made.GetUID())), metadata["uid"]), equal("the read one's", made.GetResourceVersion(), read.GetResourceVersion()))
}

// convertedList: the objects of a list are converted at once.
func convertedList(ctx context.Context, b *bench) error {
	if err := b.define(ctx); err != nil {
		return err
	}
	for n := range 5 {
		if _, err := b.makePair(ctx, "v1", fmt.Sprint("pair-", n), map[string]any{"both": fmt.Sprint("a ", n)}); err != nil {
			return err
		}
	}
	b.hooks.forget()
	list, err := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for n := range list.Items {
		if err := equal("spec", map[string]any{"left": "a", "right": fmt.Sprint(n)}, spec(&list.Items[n])); err != nil {
			return err
		}
	}
	all := b.hooks.conversions()
	return first(equal("items", 5, len(list.Items)), equal("requests", 1, len(all)), equal("objects", 5, len(all[0].Objects)))
}

// unconverted: the stored version isn't, nor what is refused before.
func unconverted(ctx context.Context, b *bench) error {
	if err := b.define(ctx); err != nil {
		return err
	}
	b.hooks.forget()
	stored := b.dynamic.Resource(b.pairs("v1")).Namespace(b.namespace)
	if _, err := b.makePair(ctx, "v1", "a", map[string]any{"both": "a b"}); err != nil {
		return err
	}
	if _, err := stored.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec": {"both": "c d"}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	if _, err := stored.List(ctx, metav1.ListOptions{}); err != nil {
		return err
	}
	return equal("requests", 0, len(b.hooks.conversions()))
}

// convertedWrite: what is written in another version is checked and answered in it.
func convertedWrite(ctx context.Context, b *bench) error {
	if err := b.define(ctx); err != nil {
		return err
	}
	_, refused := b.makePair(ctx, "v2", "long", map[string]any{"left": "much longer than twenty letters"})
	if err := contains(refused, "spec.left: Too long"); err != nil {
		return err
	}
	made, err := b.makePair(ctx, "v2", "a", map[string]any{"left": "this", "right": "that"})
	if err != nil {
		return err
	}
	other := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace)
	patched, err := other.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec": {"right": "other"}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	patched.Object["status"] = map[string]any{"seen": true}
	if _, err := other.UpdateStatus(ctx, patched, metav1.UpdateOptions{}); err != nil {
		return err
	}
	stored, err := b.dynamic.Resource(b.pairs("v1")).Namespace(b.namespace).Get(ctx, "a", metav1.GetOptions{})
	if err != nil {
		return err
	}
	_, stale := other.Update(ctx, made, metav1.UpdateOptions{})
	seen, _, _ := unstructured.NestedBool(stored.Object, "status", "seen")
	if !apierrors.IsConflict(stale) {
		return fmt.Errorf("a stale update: %v", stale)
	}
	return first(equal("answer", map[string]any{"left": "this", "right": "that"}, spec(made)), equal("patched", map[string]any{"left": "this", "right": "other"}, spec(patched)),
		equal("stored", map[string]any{"both": "this other"}, spec(stored)), equal("status", true, seen), equal("generation", int64(2), stored.GetGeneration()))
}

// convertedWatch: events come in the version of the watch, deletions too.
func convertedWatch(ctx context.Context, b *bench) error {
	if err := b.define(ctx); err != nil {
		return err
	}
	feed, err := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer feed.Stop()
	stored := b.dynamic.Resource(b.pairs("v1")).Namespace(b.namespace)
	if _, err := b.makePair(ctx, "v1", "a", map[string]any{"both": "a b"}); err != nil {
		return err
	}
	if _, err := stored.Patch(ctx, "a", types.MergePatchType, []byte(`{"spec": {"both": "a c"}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	if err := stored.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		return err
	}
	for _, want := range []string{"ADDED b", "MODIFIED c", "DELETED c"} {
		select {
		case event := <-feed.ResultChan():
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				return fmt.Errorf("an event has %v", event.Object)
			}
			if err := equal("event", want, fmt.Sprintf("%s %v", event.Type, spec(object)["right"])); err != nil {
				return err
			}
		case <-time.After(20 * time.Second):
			return fmt.Errorf("%s didn't come", want)
		}
	}
	return nil
}

// convertedMetadata: a converter may change labels and annotations, and nothing else.
func convertedMetadata(ctx context.Context, b *bench) error {
	if err := b.define(ctx); err != nil {
		return err
	}
	made, err := b.makePair(ctx, "v1", "a", map[string]any{"both": "a b"})
	if err != nil {
		return err
	}
	b.hooks.converts = edited(func(object map[string]any) {
		metadata := object["metadata"].(map[string]any)
		metadata["labels"], metadata["annotations"] = map[string]any{"by": "converter"}, map[string]any{"by": "converter"}
		metadata["resourceVersion"], metadata["generation"], metadata["finalizers"] = "1", 77, []any{"not/there"}
	})
	read, err := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace).Get(ctx, "a", metav1.GetOptions{})
	if err != nil {
		return err
	}
	by := map[string]string{"by": "converter"}
	return first(equal("labels", by, read.GetLabels()), equal("annotations", by, read.GetAnnotations()), equal("version", made.GetResourceVersion(), read.GetResourceVersion()),
		equal("generation", int64(1), read.GetGeneration()), equal("finalizers", 0, len(read.GetFinalizers())))
}

// misconverted: answers that are none, with what is said of them.
func misconverted(ctx context.Context, b *bench) error {
	if err := b.define(ctx); err != nil {
		return err
	}
	if _, err := b.makePair(ctx, "v1", "a", map[string]any{"both": "a b"}); err != nil {
		return err
	}
	type change = func(*conversionv1.ConversionRequest, *conversionv1.ConversionResponse)
	inMetadata := func(field string) change {
		return edited(func(object map[string]any) { object["metadata"].(map[string]any)[field] = "other" })
	}
	changes := map[string]change{
		" failed: expected response.uid=": func(_ *conversionv1.ConversionRequest, r *conversionv1.ConversionResponse) { r.UID = "other" },
		" failed: no luck": func(_ *conversionv1.ConversionRequest, r *conversionv1.ConversionResponse) {
			r.Result = metav1.Status{Status: "Failure", Message: "no luck"}
		},
		" failed: response.result.status was '', not 'Success'": func(_ *conversionv1.ConversionRequest, r *conversionv1.ConversionResponse) {
			r.Result = metav1.Status{}
		},
		" returned 0 objects, expected 1":                             func(_ *conversionv1.ConversionRequest, r *conversionv1.ConversionResponse) { r.ConvertedObjects = nil },
		" returned invalid object: must have the same name: a != oth": inMetadata("name"),
		" returned invalid object: must have the same UID: ":          inMetadata("uid"),
		" returned invalid object: must have the same namespace: ":    inMetadata("namespace"),
		"invalid groupVersion (expected ":                             edited(func(object map[string]any) { object["apiVersion"] = "other/v2" }),
		"invalid kind (expected Pair, received Other)":                edited(func(object map[string]any) { object["kind"] = "Other" }),
	}
	for want, change := range changes {
		b.hooks.converts = change
		_, err := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace).Get(ctx, "a", metav1.GetOptions{})
		if err := contains(err, "conversion webhook for "+b.pairs("v1").GroupVersion().String()+", Kind=Pair", want); err != nil {
			return err
		}
	}
	b.hooks.converts = nil
	_, err := b.dynamic.Resource(b.pairs("v2")).Namespace(b.namespace).Get(ctx, "a", metav1.GetOptions{})
	return err
}
