// What webhooks of admission and conversion are asked, and what becomes of what they answer, as Kubernetes' own server has it. One check a
// run, which ends with an error if it fails: `hooks CHECK`.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// bench is what a check works with: clients, the webhooks' server and a namespace.
type bench struct {
	typed     kubernetes.Interface
	kinds     apiextensions.Interface
	dynamic   dynamic.Interface
	hooks     *hooks
	warnings  *warnings
	namespace string
}

var checks = map[string]func(context.Context, *bench) error{
	"create":        asksOfCreate,
	"update":        asksOfUpdate,
	"delete":        asksOfDelete,
	"collection":    asksOfCollection,
	"apply":         asksOfApply,
	"dry-run":       asksOfDryRun,
	"subresources":  asksOfSubresources,
	"exec":          asksOfExec,
	"eviction":      asksOfEviction,
	"controllers":   asksOfControllers,
	"equivalent":    asksOfEquivalent,
	"exact":         asksExactly,
	"scopes":        asksByScope,
	"own":           ownConfigurations,
	"denial":        denials,
	"order":         order,
	"reinvocation":  reinvocation,
	"defaulted":     patchedIsDefaulted,
	"invalid":       patchedIsValidated,
	"unpatchable":   unpatchable,
	"malformed":     malformed,
	"slow":          slow,
	"authority":     authorities,
	"statuses":      statuses,
	"warnings":      warned,
	"managed":       managed,
	"configuration": configurations,

	"conversion":         conversion,
	"converted-list":     convertedList,
	"unconverted":        unconverted,
	"converted-write":    convertedWrite,
	"converted-watch":    convertedWatch,
	"converted-metadata": convertedMetadata,
	"misconverted":       misconverted,
}

func main() {
	if len(os.Args) != 2 || checks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: hooks CHECK")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := newBench(ctx, os.Args[1])
	if err == nil {
		err = checks[os.Args[1]](ctx, b)
		b.clean()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newBench(ctx context.Context, name string) (*bench, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	b := &bench{namespace: name + "-hooks", warnings: &warnings{}}
	config.WarningHandler = b.warnings
	config.QPS = -1
	if b.typed, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if b.kinds, err = apiextensions.NewForConfig(config); err != nil {
		return nil, err
	}
	plain := rest.CopyConfig(config)
	plain.ContentType = "application/json"
	if b.dynamic, err = dynamic.NewForConfig(plain); err != nil {
		return nil, err
	}
	if b.hooks, err = serve(); err != nil {
		return nil, err
	}
	return b, b.makeNamespace(ctx)
}
