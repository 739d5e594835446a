// What controllers do with controller-runtime's client and cache. One check a run, which ends with an error if it fails: `client CHECK`.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	v1 "whalesong.dev/clients/controller-runtime/api/v1"
)

// bench is what a check works with.
type bench struct {
	client.WithWatch
	config    *rest.Config
	scheme    *runtime.Scheme
	namespace string
}

var checks = map[string]func(context.Context, *bench) error{
	"objects":      objects,
	"patches":      patches,
	"status":       statuses,
	"subresources": subresources,
	"untyped":      untyped,
	"lists":        lists,
	"deletions":    deletions,
	"wrapped":      wrapped,
	"cache":        cached,
}

func main() {
	if len(os.Args) != 2 || checks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: client CHECK")
		os.Exit(2)
	}
	ctrl.SetLogger(zap.New())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := newBench(ctx, os.Args[1])
	if err == nil {
		err = checks[os.Args[1]](ctx, b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newBench(ctx context.Context, name string) (*bench, error) {
	b := &bench{config: ctrl.GetConfigOrDie(), scheme: runtime.NewScheme()}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(b.scheme); err != nil {
			return nil, err
		}
	}
	var err error
	if b.WithWatch, err = client.NewWithWatch(b.config, client.Options{Scheme: b.scheme}); err != nil {
		return nil, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-"}}
	if err := b.Create(ctx, namespace); err != nil {
		return nil, err
	}
	b.namespace = namespace.Name
	return b, nil
}

// greeter makes one.
func (b *bench) greeter(ctx context.Context, name string) (*v1.Greeter, error) {
	made := &v1.Greeter{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: b.namespace, Labels: map[string]string{"test": "yes", "name": name}}, Spec: v1.GreeterSpec{Message: "hello"}}
	return made, b.Create(ctx, made)
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

// holds fails with what isn't so.
func holds(condition bool, format string, arguments ...any) error {
	if condition {
		return nil
	}
	return fmt.Errorf(format, arguments...)
}
