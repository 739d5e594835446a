package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
)

// counts are the events that an informer's handler got.
type counts struct{ added, updated, resynced, deleted atomic.Int32 }

func (c *counts) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.added.Add(1) },
		UpdateFunc: func(old, new any) {
			if version(old) == version(new) {
				c.resynced.Add(1)
			} else {
				c.updated.Add(1)
			}
		},
		DeleteFunc: func(any) { c.deleted.Add(1) },
	}
}

func version(object any) string {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return ""
	}
	return accessor.GetResourceVersion()
}

func (c *counts) String() string {
	return fmt.Sprintf("%d added, %d updated, %d resynced, %d deleted", c.added.Load(), c.updated.Load(), c.resynced.Load(), c.deleted.Load())
}

// until waits for a condition, and says what there was instead.
func until(ctx context.Context, what string, seen fmt.Stringer, condition func() bool) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		return fmt.Errorf("%s: %w; there were %s", what, err, seen)
	}
	return nil
}

// follow runs an informer with a handler that counts, until it holds what there is.
func follow(ctx context.Context, informer cache.SharedIndexInformer) (*counts, error) {
	seen := &counts{}
	registration, err := informer.AddEventHandler(seen.handler())
	if err != nil {
		return nil, err
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil, fmt.Errorf("the informer did not sync")
	}
	return seen, nil
}
