package deliver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gameday/announce"
	"gameday/report"
)

// The headers of a signed webhook. The signature is the HMAC-SHA256, in hexadecimal behind "sha256=", of the timestamp, a full stop
// and the body, by the channel's secret; the timestamp is in seconds since 1970.
const (
	headTime      = "X-Gameday-Timestamp"
	headSignature = "X-Gameday-Signature"
	headID        = "X-Gameday-Id"
)

const (
	// answerLimit bounds what is read of an answer: chats say "ok".
	answerLimit = 16 << 10
	// excerptLimit bounds what is shown of it.
	excerptLimit = 120
)

// Sign returns the signature of a webhook's body.
func Sign(secret string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a message once.
func (s *Sender) post(ctx context.Context, c *announce.Channel, m *announce.Message, k *keys) announce.Outcome {
	final := func(err error) announce.Outcome { return announce.Outcome{Err: err, Final: true} }
	if err := announce.CheckAddress(k.address); err != nil {
		return final(fmt.Errorf("what %s holds %w", place(c.Address), err))
	}
	now := time.Now()
	body, err := announce.Body(c.Kind, m, now)
	if err != nil {
		return final(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, k.address, bytes.NewReader(body))
	if err != nil {
		return final(errors.New("the address cannot be asked"))
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", strings.TrimSuffix("gameday/"+s.Version, "/"))
	if c.Kind == announce.Webhook {
		request.Header.Set(headID, m.ID)
		request.Header.Set(headTime, strconv.FormatInt(now.Unix(), 10))
		if k.secret != "" {
			request.Header.Set(headSignature, Sign(k.secret, now, body))
		}
	}
	client, err := client(c)
	if err != nil {
		return announce.Outcome{Err: err}
	}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return announce.Outcome{Err: s.plain(err)}
	}
	defer response.Body.Close()
	answer, cut := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	return judge(c.Kind, response, answer, cut, k)
}

// client returns one that goes where it is sent, and nowhere else.
func client(c *announce.Channel) (*http.Client, error) {
	tls, err := tlsConfig(c, "")
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{}).DialContext,
			TLSClientConfig:        tls,
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		// What is sent is for the address alone, and a redirect mostly is a login page.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// errBroken says that nobody waited any longer.
var errBroken = errors.New("it was broken off before the server answered")

// plain takes the address out of net/http's error, and words a time-out.
func (s *Sender) plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", s.timeout())
	}
	if errors.Is(err, context.Canceled) {
		return errBroken
	}
	return err
}

// judge says whether a server has taken a message. One that says so and breaks off has taken it: to send it again would tell it twice.
func judge(kind announce.Kind, r *http.Response, answer []byte, cut error, k *keys) announce.Outcome {
	says := excerpt(answer, k)
	switch code := r.StatusCode; {
	case code >= 200 && code < 300:
		if cut != nil {
			return announce.Outcome{Text: r.Status + ", and its answer broke off"}
		}
		if chat := kind == announce.Slack || kind == announce.Mattermost; chat && strings.TrimSpace(string(answer)) != "ok" {
			return announce.Outcome{Final: true, Err: fmt.Errorf("%s, but not \"ok\" as a webhook of %s says: %s; is something else in front of it?", r.Status, kind, says)}
		}
		return announce.Outcome{Text: r.Status}
	case code >= 300 && code < 400:
		where := "elsewhere"
		if to, err := r.Location(); err == nil {
			where = "to " + to.Host
		}
		return announce.Outcome{Final: true, Err: fmt.Errorf("%s %s, where nothing is sent: is the address right, or is a login page in front of it?", r.Status, where)}
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		after := retryAfter(r.Header, time.Now())
		text := r.Status
		if after > 0 {
			text += fmt.Sprintf(", it asks to wait %s", report.Length(after))
		}
		return announce.Outcome{Err: errors.New(text), After: after}
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		return announce.Outcome{Err: fmt.Errorf("%s: %s", r.Status, says)}
	case code == http.StatusNotFound, code == http.StatusGone:
		return announce.Outcome{Final: true, Err: fmt.Errorf("%s: %s; is the webhook still there?", r.Status, says)}
	default:
		return announce.Outcome{Final: true, Err: fmt.Errorf("%s: %s", r.Status, says)}
	}
}

// mostAfter bounds for how long a server is believed that it is busy.
const mostAfter = 24 * time.Hour

// retryAfter reads how long a server asks to wait: seconds, or a date (RFC 9110, 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 {
		return time.Duration(min(s, mostAfter.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(mostAfter, max(0, at.Sub(now)))
	}
	return 0
}

// excerpt returns the beginning of an answer on one line. Secrets are taken out before it is cut: half of one would not be found any
// more.
func excerpt(answer []byte, k *keys) string {
	s := strings.Join(strings.Fields(report.PlainText(k.hide(string(answer)))), " ")
	if s == "" {
		return "it says nothing"
	}
	if r := []rune(s); len(r) > excerptLimit {
		s = string(r[:excerptLimit]) + "…"
	}
	return strconv.Quote(s)
}
