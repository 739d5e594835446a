package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"
)

// selection is what a selector has to choose.
type selection struct {
	label, field string
	want         int
}

// selectors are lists and watches by labels and fields.
func selectors(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "selectors")
	if err != nil {
		return err
	}
	if err := c.fill(ctx, namespace, 0, 30); err != nil {
		return err
	}
	wanted := []selection{
		{label: "test=yes", want: 30}, {label: "third", want: 10}, {label: "test,!third", want: 20}, {label: "third in (yes,no)", want: 10},
		{label: "third notin (yes)", want: 21}, {label: "test!=yes", want: 1}, {field: "metadata.name=map-003", want: 1},
		{field: "metadata.name!=map-003", want: 30}, {field: "metadata.name=map-003,metadata.namespace=" + namespace, want: 1},
		{label: "third", field: "metadata.name=map-004", want: 0}, {field: "metadata.namespace=elsewhere", want: 0},
	}
	for _, s := range wanted {
		options := metav1.ListOptions{LabelSelector: s.label, FieldSelector: s.field}
		found, err := c.typed.CoreV1().ConfigMaps(namespace).List(ctx, options)
		if err != nil {
			return err
		}
		if len(found.Items) != s.want {
			return fmt.Errorf("%q and %q choose %d, not %d", s.label, s.field, len(found.Items), s.want)
		}
	}
	if _, err := c.typed.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{FieldSelector: "data.n=1"}); !apierrors.IsBadRequest(err) {
		return fmt.Errorf("a field that can't be selected by: %v", err)
	}
	return c.leaves(ctx, namespace)
}

// leaves has an object leave a selection, which watches show as its deletion.
func (c *clients) leaves(ctx context.Context, namespace string) error {
	third := func(options *metav1.ListOptions) { options.LabelSelector = "third=yes" }
	factory := informers.NewSharedInformerFactoryWithOptions(c.typed, 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(third))
	seen, err := follow(ctx, factory.Core().V1().ConfigMaps().Informer())
	if err != nil {
		return err
	}
	object, err := c.typed.CoreV1().ConfigMaps(namespace).Get(ctx, "map-003", metav1.GetOptions{})
	if err != nil {
		return err
	}
	delete(object.Labels, "third")
	if object, err = c.typed.CoreV1().ConfigMaps(namespace).Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := until(ctx, "one that leaves", seen, func() bool { return seen.deleted.Load() == 1 }); err != nil {
		return err
	}
	object.Labels["third"] = "yes"
	if _, err = c.typed.CoreV1().ConfigMaps(namespace).Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		return err
	}
	return until(ctx, "one that comes back", seen, func() bool { return seen.added.Load() == 11 })
}

// resync hands everything that is held to the handlers again.
func resync(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "resync")
	if err != nil {
		return err
	}
	if err := c.fill(ctx, namespace, 0, 20); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c.typed, time.Second, informers.WithNamespace(namespace), informers.WithTweakListOptions(tested))
	seen, err := follow(ctx, factory.Core().V1().ConfigMaps().Informer())
	if err != nil {
		return err
	}
	return until(ctx, "two resyncs", seen, func() bool { return seen.resynced.Load() >= 40 && seen.updated.Load() == 0 })
}

// pages is a list in pages, which show one state whatever is written in between.
func pages(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "pages")
	if err != nil {
		return err
	}
	if err := c.fill(ctx, namespace, 0, whole); err != nil {
		return err
	}
	count, asked := 0, 0
	list := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		if asked++; asked == 3 {
			late := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "map-zzz", Labels: map[string]string{"test": "yes"}}}
			if _, err := c.typed.CoreV1().ConfigMaps(namespace).Create(ctx, late, metav1.CreateOptions{}); err != nil {
				return nil, err
			}
		}
		return c.typed.CoreV1().ConfigMaps(namespace).List(ctx, options)
	})
	list.PageSize = 50
	err = list.EachListItem(ctx, metav1.ListOptions{LabelSelector: "test=yes"}, func(runtime.Object) error { count++; return nil })
	if err != nil {
		return err
	}
	if count != whole || asked != whole/50 {
		return fmt.Errorf("%d objects in %d pages, not %d in %d", count, asked, whole, whole/50)
	}
	return nil
}

// continued is what a page says of itself.
func continued(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "continued")
	if err != nil {
		return err
	}
	if err := c.fill(ctx, namespace, 0, 25); err != nil {
		return err
	}
	first, err := c.typed.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{Limit: 10})
	if err != nil {
		return err
	}
	if first.Continue == "" || first.RemainingItemCount == nil || *first.RemainingItemCount != 16 {
		return fmt.Errorf("the first page: continue %q, remaining %v", first.Continue, first.RemainingItemCount)
	}
	second, err := c.typed.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{Limit: 10, Continue: first.Continue})
	if err != nil {
		return err
	}
	if second.ResourceVersion != first.ResourceVersion {
		return fmt.Errorf("the pages are of %s and %s", first.ResourceVersion, second.ResourceVersion)
	}
	_, err = c.typed.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{Limit: 10, Continue: "nonsense"})
	if !apierrors.IsBadRequest(err) && !apierrors.IsResourceExpired(err) {
		return fmt.Errorf("a continuation that is none: %v", err)
	}
	return nil
}

// conflicts are updates of what has changed meanwhile, tried again until they fit.
func conflicts(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "conflicts")
	if err != nil {
		return err
	}
	if err := c.fill(ctx, namespace, 0, 1); err != nil {
		return err
	}
	api := c.typed.CoreV1().ConfigMaps(namespace)
	stale, err := api.Get(ctx, "map-000", metav1.GetOptions{})
	if err != nil {
		return err
	}
	failed := make(chan error, 8)
	patience := wait.Backoff{Steps: 100, Duration: 10 * time.Millisecond, Factor: 1.1, Jitter: 0.5, Cap: time.Second}
	for n := range 8 {
		go func() {
			failed <- retry.OnError(patience, apierrors.IsConflict, func() error { return add(ctx, c, namespace, fmt.Sprint("by-", n)) })
		}()
	}
	for range 8 {
		if err := <-failed; err != nil {
			return err
		}
	}
	if _, err := api.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("an update of an old version: %v", err)
	}
	last, err := api.Get(ctx, "map-000", metav1.GetOptions{})
	if err == nil && len(last.Data) != 9 {
		err = fmt.Errorf("one of the updates is lost: %v", last.Data)
	}
	return err
}

func add(ctx context.Context, c *clients, namespace, key string) error {
	object, err := c.typed.CoreV1().ConfigMaps(namespace).Get(ctx, "map-000", metav1.GetOptions{})
	if err != nil {
		return err
	}
	object.Data[key] = "yes"
	_, err = c.typed.CoreV1().ConfigMaps(namespace).Update(ctx, object, metav1.UpdateOptions{})
	return err
}

// expired is a watch from before what the server still has: it says so, in one way or the other.
func expired(ctx context.Context, c *clients) error {
	feed, err := c.typed.CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer feed.Stop()
	for event := range feed.ResultChan() {
		if event.Type == watch.Error {
			if err := apierrors.FromObject(event.Object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("the watch ended without a word")
}

// bookmarks mark how far a watch is: the one that ends what there was at the start is annotated.
func bookmarks(ctx context.Context, c *clients) error {
	all, streamed := true, metav1.ResourceVersionMatchNotOlderThan
	feed, err := c.typed.CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{SendInitialEvents: &all, ResourceVersionMatch: streamed, AllowWatchBookmarks: true})
	if err != nil {
		return err
	}
	defer feed.Stop()
	for event := range feed.ResultChan() {
		if event.Type != watch.Bookmark {
			continue
		}
		if object := event.Object.(*corev1.ConfigMap); object.Annotations[metav1.InitialEventsAnnotationKey] != "true" || object.ResourceVersion == "" {
			return fmt.Errorf("the first bookmark has %v", object.ObjectMeta)
		}
		return nil
	}
	return fmt.Errorf("the watch ended without a bookmark")
}

// collection deletes what a selector chooses.
func collection(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "collection")
	if err != nil {
		return err
	}
	if err := c.fill(ctx, namespace, 0, 30); err != nil {
		return err
	}
	if err := c.typed.CoreV1().ConfigMaps(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "third"}); err != nil {
		return err
	}
	left, err := c.typed.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
	if err == nil && len(left.Items) != 21 {
		err = fmt.Errorf("%d are left, not 21", len(left.Items))
	}
	return err
}

// restart follows a namespace over a restart of the cluster: the suite makes its last object after it.
func restart(ctx context.Context, c *clients) error {
	namespace, err := c.namespace(ctx, "restart")
	if err != nil {
		return err
	}
	if err := c.fill(ctx, namespace, 0, whole); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(c.typed, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().ConfigMaps().Informer()
	seen, err := follow(ctx, informer)
	if err != nil {
		return err
	}
	fmt.Printf("namespace %s\n", namespace)
	key := namespace + "/last"
	err = until(ctx, "the object of after the restart", seen, func() bool { _, there, _ := informer.GetStore().GetByKey(key); return there })
	if err != nil {
		return err
	}
	if n := len(informer.GetStore().List()); n != whole+2 || seen.added.Load() != whole+2 || seen.deleted.Load() != 0 {
		return fmt.Errorf("%d are held; %s", n, seen)
	}
	fmt.Println("saw the last one")
	return nil
}
