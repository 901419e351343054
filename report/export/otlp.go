package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// otlpPath is where OTLP/HTTP takes metrics, below an endpoint.
const otlpPath = "/v1/metrics"

// OTLP sends the metrics to a receiver of OTLP/HTTP, in the protocol's JSON encoding. The address is the endpoint, to
// which /v1/metrics is added unless it ends in that. All points have the time of the run's end.
//
// The protocol: https://opentelemetry.io/docs/specs/otlp/.
func OTLP(ctx context.Context, d Destination, m *Metrics, version string) error {
	u, err := CheckURL(d.URL)
	if err != nil {
		return err
	}
	if d.URL = metricsURL(u); d.URL == "" {
		return fmt.Errorf("leave out everything from the question mark on")
	}
	s, err := newSender(d)
	if err != nil {
		return err
	}
	defer s.close()
	body, err := json.Marshal(otlpRequest(m, version))
	if err != nil {
		return fmt.Errorf("writing the metrics: %w", err)
	}
	answer, header, err := s.send(ctx, request{method: http.MethodPost, url: d.URL, body: body, passing: otlpBusy,
		header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}})
	if err != nil {
		return err
	}
	if err := rejected(answer, header); err != nil {
		return s.redact(fmt.Errorf("POST %s: %w", d.URL, err))
	}
	return nil
}

func metricsURL(u *url.URL) string {
	if u.RawQuery != "" {
		return ""
	}
	to := *u
	to.Path = strings.TrimRight(to.Path, "/")
	if !strings.HasSuffix(to.Path, otlpPath) {
		to.Path += otlpPath
	}
	return to.String()
}

// otlpBusy are the statuses after which the specification allows to send again.
func otlpBusy(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// rejected looks for points that were not taken although the request was. An empty answer is an empty message, which says
// that all were; one that is neither empty nor JSON says nothing, and so is an error.
func rejected(answer []byte, header http.Header) error {
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil
	}
	var a struct {
		PartialSuccess *struct {
			RejectedDataPoints json.RawMessage `json:"rejectedDataPoints"`
			ErrorMessage       string          `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("it took the request, but whether it took all points cannot be told: its answer (%s) is not JSON",
			strings.TrimSpace(header.Get("Content-Type")))
	}
	if a.PartialSuccess == nil {
		return nil
	}
	text := strings.Trim(string(a.PartialSuccess.RejectedDataPoints), `"`)
	if text == "" {
		text = "0"
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("it took the request, but how many points it refused cannot be read: %q", text)
	}
	if n > 0 {
		return fmt.Errorf("it refused %d of the points: %s", n, excerpt([]byte(a.PartialSuccess.ErrorMessage)))
	}
	return nil
}

// The JSON encoding of opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest, as far as it is needed.
type (
	otlpExport struct {
		ResourceMetrics []otlpResource `json:"resourceMetrics"`
	}
	otlpResource struct {
		Resource     otlpAttributes `json:"resource"`
		ScopeMetrics []otlpScope    `json:"scopeMetrics"`
	}
	otlpAttributes struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScope struct {
		Scope   otlpScopeName `json:"scope"`
		Metrics []otlpMetric  `json:"metrics"`
	}
	otlpScopeName struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	otlpMetric struct {
		Name        string    `json:"name"`
		Description string    `json:"description"`
		Unit        string    `json:"unit,omitempty"`
		Gauge       otlpGauge `json:"gauge"`
	}
	otlpGauge struct {
		DataPoints []otlpPoint `json:"dataPoints"`
	}
	otlpPoint struct {
		Attributes   []otlpAttribute `json:"attributes,omitempty"`
		TimeUnixNano string          `json:"timeUnixNano"` // 64 bits are a text in JSON
		AsDouble     float64         `json:"asDouble"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		StringValue string `json:"stringValue"`
	}
)

// otlpUnits are the units as UCUM writes them.
var otlpUnits = map[string]string{"seconds": "s", "ratio": "1"}

func otlpRequest(m *Metrics, version string) otlpExport {
	scope := otlpScope{Scope: otlpScopeName{"gameday", version}}
	at := strconv.FormatInt(m.At.UnixMilli()*1e6, 10)
	for _, f := range m.Families {
		metric := otlpMetric{Name: f.Name, Description: f.Help, Unit: otlpUnits[f.Unit]}
		for _, s := range f.Samples {
			p := otlpPoint{TimeUnixNano: at, AsDouble: s.Value}
			for _, l := range s.Labels {
				p.Attributes = append(p.Attributes, otlpAttribute{l.Name, otlpValue{l.Value}})
			}
			metric.Gauge.DataPoints = append(metric.Gauge.DataPoints, p)
		}
		scope.Metrics = append(scope.Metrics, metric)
	}
	return otlpExport{[]otlpResource{{Resource: otlpAttributes{[]otlpAttribute{{"service.name", otlpValue{"gameday"}}}},
		ScopeMetrics: []otlpScope{scope}}}}
}
