package conductor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/report"
)

const (
	linkLimit     = 5 * time.Second // for one link, redirects included
	mostLinks     = 50              // of one source
	mostRedirects = 10
)

// askLinks asks the addresses that an expected alarm's annotations hold, each once, and records what they answer.
func (s *sources) askLinks(ctx context.Context, source string, episodes []alarms.Episode) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	asked := map[string]bool{}
	for _, a := range s.run.Scenario.Alarms {
		if a.Source != source {
			continue
		}
		for _, name := range a.Links {
			for _, e := range episodes {
				to := strings.TrimSpace(e.Notes[name])
				if !alarms.Match(a.Match, e.Labels) || to == "" || asked[a.Name+name+to] || len(asked) == mostLinks {
					continue
				}
				asked[a.Name+name+to] = true
				answer := s.askLink(ctx, to)
				answer.Alarm, answer.Annotation = a.Name, name
				s.run.rec.add(report.LinkAsked, answer)
			}
		}
	}
}

// alone follows a redirect without telling where it comes from: the query may hold a token, and whom it leads to is another's word.
func alone(next *http.Request, via []*http.Request) error {
	next.Header.Del("Referer")
	if len(via) >= mostRedirects {
		return fmt.Errorf("it leads on and on, more than %d times", mostRedirects)
	}
	return nil
}

// askLink asks one address, without a word of who asks.
func (s *sources) askLink(ctx context.Context, to string) report.LinkAnswer {
	at, err := url.Parse(to)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return report.LinkAnswer{URL: to[:min(len(to), 200)], Invalid: true, Error: "it is no address of a web page"}
	}
	shown := *at
	shown.User, shown.RawQuery, shown.Fragment = nil, "", ""
	out := report.LinkAnswer{URL: shown.String()}
	ctx, cancel := context.WithTimeout(ctx, linkLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		out.Error = "asking: " + err.Error()
		return out
	}
	request.Header.Set("User-Agent", "gameday")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, CheckRedirect: alone}).Do(request)
	if err != nil {
		if wrapped, ok := err.(*url.Error); ok { // it repeats the address with its query
			err = wrapped.Err
		}
		out.Error = fmt.Sprint("nothing answers: ", err)
		if s.run.Lab != nil {
			out.Error = "it cannot be asked from within a lab"
		}
		return out
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // what it says is nobody's verdict
	out.Status = response.StatusCode
	return out
}
