package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// requests are the reads that a client has sent, and how they were answered.
type requests struct {
	mutex sync.Mutex
	lists []string
	feeds []string
	types []string // of the feeds
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) { return t(request) }

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return transport(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && request.Method == http.MethodGet {
			r.note(request, response)
		}
		return response, err
	})
}

func (r *requests) note(request *http.Request, response *http.Response) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if request.URL.Query().Get("watch") == "true" {
		r.feeds = append(r.feeds, request.URL.RawQuery)
		r.types = append(r.types, response.Header.Get("Content-Type"))
	} else {
		r.lists = append(r.lists, request.URL.RequestURI())
	}
}

// streamed says whether everything came by one watch that began with what there was.
func (r *requests) streamed() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return len(r.lists) == 0 && len(r.feeds) > 0 && strings.Contains(r.feeds[0], "sendInitialEvents=true")
}

// answeredAs looks whether each watch was of a content type.
func (r *requests) answeredAs(contentType string) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, t := range r.types {
		if !strings.HasPrefix(t, contentType) {
			return fmt.Errorf("a watch was %s, not %s", t, contentType)
		}
	}
	return nil
}

// forget starts anew.
func (r *requests) forget() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.lists, r.feeds, r.types = nil, nil, nil
}
