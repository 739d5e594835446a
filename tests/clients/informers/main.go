// What controllers do with client-go: informers of every kind, selection, paging and conflicts. One check a run, which ends with an error
// if it fails: `informers CHECK`.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// clients are those of one check, and what they asked for.
type clients struct {
	typed    kubernetes.Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
	requests *requests
}

type check func(context.Context, *clients) error

var checks = map[string]check{
	"typed":      typed,
	"protobuf":   protobuf,
	"cbor":       cbor,
	"dynamic":    dynamicKinds,
	"custom":     custom,
	"metadata":   metadataOnly,
	"selectors":  selectors,
	"resync":     resync,
	"pages":      pages,
	"continued":  continued,
	"conflicts":  conflicts,
	"expired":    expired,
	"bookmarks":  bookmarks,
	"restart":    restart,
	"collection": collection,
}

func main() {
	if len(os.Args) != 2 || checks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: informers CHECK")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	connected, err := connect(os.Args[1] == "protobuf")
	if err == nil {
		err = checks[os.Args[1]](ctx, connected)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func connect(protobuf bool) (*clients, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	seen := &requests{}
	config.Wrap(seen.wrap)
	config.QPS, config.Burst = -1, 0
	typedConfig := rest.CopyConfig(config)
	if protobuf {
		typedConfig.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
		typedConfig.ContentType = "application/vnd.kubernetes.protobuf"
	}
	out := &clients{requests: seen}
	if out.typed, err = kubernetes.NewForConfig(typedConfig); err != nil {
		return nil, err
	}
	if out.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	out.metadata, err = metadata.NewForConfig(config)
	return out, err
}
