// Uses the cluster's API over NATS: go run . nats://127.0.0.1:4222 client@ci.nk ci
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

// api sends the requests of one user of one cluster.
type api struct {
	connection *nats.Conn
	user       string
}

type object map[string]any

func (a api) subject(verb, resource, namespace, name string) string {
	return fmt.Sprintf("ws.default.api.%s.%s.core.%s.%s.%s", a.user, verb, resource, namespace, name)
}

// ask sends one request; its error is what the cluster says went wrong.
func (a api) ask(verb, resource, namespace, name, body string, headers nats.Header) (object, error) {
	message := &nats.Msg{Subject: a.subject(verb, resource, namespace, name), Data: []byte(body), Header: headers}
	answer, err := a.connection.RequestMsg(message, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if code := answer.Header.Get("Nats-Service-Error-Code"); code != "" {
		return nil, fmt.Errorf("%s: %s", code, answer.Header.Get("Nats-Service-Error"))
	}
	document := object{}
	if answer.Header.Get("Content-Type") == "application/msgpack" {
		return document, msgpack.Unmarshal(answer.Data, &document)
	}
	return document, json.Unmarshal(answer.Data, &document)
}

// watch hands the events of a watch to take until that says that it is enough, or the watch ends.
func (a api) watch(resource, namespace string, headers nats.Header, take func(kind string, about object) bool) error {
	inbox := a.connection.NewInbox()
	events, err := a.connection.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer events.Unsubscribe()
	open := &nats.Msg{Subject: a.subject("watch", resource, namespace, "="), Reply: inbox, Header: headers}
	if err := a.connection.PublishMsg(open); err != nil {
		return err
	}
	for {
		message, err := events.NextMsg(time.Minute)
		if err != nil {
			return err
		}
		if message.Reply != "" {
			if err := message.Respond(nil); err != nil {
				return err
			}
		}
		if len(message.Data) == 0 {
			return nil
		}
		var event struct {
			Type   string
			Object object
		}
		if err := json.Unmarshal(message.Data, &event); err != nil {
			return err
		}
		if event.Type != "HEARTBEAT" && !take(event.Type, event.Object) {
			return nil
		}
	}
}

func main() {
	url, key, user := os.Args[1], os.Args[2], os.Args[3]
	identity, err := nats.NkeyOptionFromSeed(key)
	if err != nil {
		log.Fatal(err)
	}
	connection, err := nats.Connect(url, identity, nats.CustomInboxPrefix("ws.default.inbox.client."+user))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	if err := run(api{connection, user}); err != nil {
		log.Fatal(err)
	}
}

func run(a api) error {
	made, err := a.ask("create", "configmaps", "default", "=", `{"metadata":{"name":"go"},"data":{"a":"b"}}`, nil)
	if err != nil {
		return err
	}
	fmt.Println("created", made["metadata"].(map[string]any)["name"])
	read, err := a.ask("get", "configmaps", "default", "go", "", nats.Header{"Accept": {"application/msgpack"}})
	if err != nil {
		return err
	}
	fmt.Println("read", read["data"])
	patched, err := a.ask("patch", "configmaps", "default", "go", `{"data":{"c":"d"}}`, nil)
	if err != nil {
		return err
	}
	fmt.Println("patched", patched["data"])
	time.AfterFunc(500*time.Millisecond, func() {
		if _, err := a.ask("delete", "configmaps", "default", "go", "", nil); err != nil {
			log.Print(err)
		}
	})
	only := nats.Header{"fieldSelector": {"metadata.name=go"}, "timeoutSeconds": {"10"}}
	err = a.watch("configmaps", "default", only, func(kind string, about object) bool {
		fmt.Println(kind, about["metadata"].(map[string]any)["name"])
		return kind != "DELETED"
	})
	if err != nil {
		return err
	}
	_, err = a.ask("get", "configmaps", "default", "go", "", nil)
	fmt.Println(err)
	return nil
}
