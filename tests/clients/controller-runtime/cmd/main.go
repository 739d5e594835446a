// An operator as kubebuilder scaffolds it: a manager with a controller, its webhooks and leader election.
package main

import (
	"flag"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	webhookserver "sigs.k8s.io/controller-runtime/pkg/webhook"

	v1 "whalesong.dev/clients/controller-runtime/api/v1"
	"whalesong.dev/clients/controller-runtime/api/v1beta1"
	"whalesong.dev/clients/controller-runtime/internal/controller"
	"whalesong.dev/clients/controller-runtime/internal/webhook"
)

type options struct {
	port   int
	health string
	certs  string
}

func main() {
	var o options
	flag.IntVar(&o.port, "webhook-port", 9443, "where the webhooks are served, on 127.0.0.1")
	flag.StringVar(&o.health, "health", "127.0.0.1:8081", "where it says that it is healthy")
	flag.StringVar(&o.certs, "certs", "", "the folder for the webhooks' certificate, which is made if there is none")
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseDevMode(true)))
	if err := run(o); err != nil {
		ctrl.Log.Error(err, "the operator ended")
		os.Exit(1)
	}
}

func run(o options) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	if err := selfSigned(o.certs); err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: "0"},
		WebhookServer:                 webhookserver.NewServer(webhookserver.Options{Host: "127.0.0.1", Port: o.port, CertDir: o.certs}),
		HealthProbeBindAddress:        o.health,
		LeaderElection:                true,
		LeaderElectionID:              "greeter.clients.whalesong.dev",
		LeaderElectionNamespace:       "default",
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	reconciler := &controller.Greeters{Client: mgr.GetClient(), Scheme: scheme, Recorder: mgr.GetEventRecorder("greeter-controller")}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return err
	}
	if err := webhook.Setup(mgr); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("webhooks", mgr.GetWebhookServer().StartedChecker()); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}
