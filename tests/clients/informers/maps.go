package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	half  = 150
	whole = 2 * half
)

// namespace makes a new one.
func (c *clients) namespace(ctx context.Context, name string) (string, error) {
	made, err := c.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-"}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return made.Name, c.account(ctx, made.Name)
}

// account waits for the namespace's own objects, so that they don't come in between.
func (c *clients) account(ctx context.Context, namespace string) error {
	for {
		_, err := c.typed.CoreV1().ConfigMaps(namespace).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s got no kube-root-ca.crt", namespace)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// fill makes config maps from one number to another; every third is labelled odd.
func (c *clients) fill(ctx context.Context, namespace string, from, to int) error {
	for n := from; n < to; n++ {
		labels := map[string]string{"test": "yes"}
		if n%3 == 0 {
			labels["third"] = "yes"
		}
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("map-%03d", n), Labels: labels}, Data: map[string]string{"n": fmt.Sprint(n)}}
		if _, err := c.typed.CoreV1().ConfigMaps(namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// change updates and deletes as many from the start, and from the end.
func (c *clients) change(ctx context.Context, namespace string, count int) error {
	maps := c.typed.CoreV1().ConfigMaps(namespace)
	for n := range count {
		object, err := maps.Get(ctx, fmt.Sprintf("map-%03d", n), metav1.GetOptions{})
		if err != nil {
			return err
		}
		object.Data["changed"] = "yes"
		if _, err := maps.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
			return err
		}
		if err := maps.Delete(ctx, fmt.Sprintf("map-%03d", whole-1-n), metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	return nil
}
