package main

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	conversionv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// answer is what a webhook says to a request; nil allows.
type answer func(*admissionv1.AdmissionRequest, *admissionv1.AdmissionResponse)

// hooks is a server of webhooks, one a path, which keeps what they were asked.
type hooks struct {
	server    *httptest.Server
	authority []byte
	mutex     sync.Mutex
	answers   map[string]answer
	raw       map[string]http.HandlerFunc
	asked     map[string][]admissionv1.AdmissionRequest
	converts  func(*conversionv1.ConversionRequest, *conversionv1.ConversionResponse)
	converted []conversionv1.ConversionRequest
	queries   []string
}

func serve() (*hooks, error) {
	h := &hooks{answers: map[string]answer{}, raw: map[string]http.HandlerFunc{}, asked: map[string][]admissionv1.AdmissionRequest{}}
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(h.handle))
	h.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	h.server.StartTLS()
	h.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})
	return h, nil
}

func (h *hooks) handle(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "convert" {
		h.convert(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	review := &admissionv1.AdmissionReview{}
	if err == nil {
		err = json.Unmarshal(body, review)
	}
	if err != nil || review.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	h.mutex.Lock()
	h.asked[name] = append(h.asked[name], *review.Request)
	h.queries = append(h.queries, r.URL.RawQuery)
	say, raw := h.answers[name], h.raw[name]
	h.mutex.Unlock()
	if raw != nil {
		raw(w, r)
		return
	}
	response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if say != nil {
		say(review.Request, response)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(&admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response}); err != nil {
		return // the server has gone away
	}
}

// requests are those that a webhook got.
func (h *hooks) requests(name string) []admissionv1.AdmissionRequest {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return append([]admissionv1.AdmissionRequest{}, h.asked[name]...)
}

func (h *hooks) forget() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.asked, h.queries, h.converted = map[string][]admissionv1.AdmissionRequest{}, nil, nil
}

// patches answers with a JSON patch.
func patches(patch string) answer {
	return func(_ *admissionv1.AdmissionRequest, response *admissionv1.AdmissionResponse) {
		kind := admissionv1.PatchTypeJSONPatch
		response.Patch, response.PatchType = []byte(patch), &kind
	}
}

// warnings are those of the API's answers.
type warnings struct {
	mutex sync.Mutex
	said  []string
}

// HandleWarningHeader keeps a warning.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.said = append(w.said, text)
}
