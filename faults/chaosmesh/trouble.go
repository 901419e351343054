package chaosmesh

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"gameday/faults"
)

// Pauses between two attempts at what an API server did not do.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 4 * time.Second
)

// patience is how long a request is tried whose context has no deadline.
const patience = 30 * time.Second

// plain says what went wrong with a request in words that somebody can act on. The original error stays wrapped.
func (c *client) plain(err error) error {
	var (
		unknownAuthority x509.UnknownAuthorityError
		invalid          x509.CertificateInvalidError
		hostname         x509.HostnameError
		dns              *net.DNSError
	)
	host := c.config.Host
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case apierrors.IsUnauthorized(err):
		return &said{err, fmt.Sprintf("%s does not accept the credentials (401)%s: the token or certificate may have expired; get new ones, and try "+
			"`kubectl get namespaces`", host, c.inContext())}
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "denied the request: "):
		return &said{err, refused(err)}
	case apierrors.IsForbidden(err):
		return &said{err, fmt.Sprintf("%s forbids it (403): %v; ask for that permission, docs/kubernetes.md has the least that is needed", host, err)}
	case errors.As(err, &unknownAuthority):
		return &said{err, fmt.Sprintf("the certificate of %s is signed by nobody whom the kubeconfig names%s: its certificate-authority belongs to "+
			"another cluster, or the cluster was made anew; fetch the kubeconfig again", host, c.inContext())}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &said{err, fmt.Sprintf("the certificate of %s has expired or is not valid yet; renew it, or look at this machine's clock", host)}
	case errors.As(err, &hostname):
		return &said{err, fmt.Sprintf("the certificate of %s is for other names: %v; use one of those in the kubeconfig", host, hostname)}
	case errors.As(err, &dns):
		return &said{err, fmt.Sprintf("the name of the API server %s is not known%s: %v", host, c.inContext(), dns)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &said{err, fmt.Sprintf("nobody listens at %s%s: is the cluster up, and is a tunnel or VPN to it?", host, c.inContext())}
	case timedOut(err):
		return &said{err, fmt.Sprintf("%s does not answer in time%s: is the cluster up, and is a tunnel or VPN to it?", host, c.inContext())}
	case strings.Contains(err.Error(), "serializer for "):
		return &said{err, fmt.Sprintf("what answers at %s is no API server: a page to sign in at, or a proxy?", host)}
	case strings.Contains(err.Error(), "failed calling webhook"):
		return &said{err, "Chaos Mesh's webhook does not answer, and nothing of its kinds can be made or changed meanwhile, forced or not: start its " +
			"controllers, or else remove its webhook configurations (" + oneLine(err.Error()) + ")"}
	case apierrors.IsInternalError(err), apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err):
		return &said{err, fmt.Sprintf("%s answers, but cannot do it now: %v", host, err)}
	}
	return err
}

// refused says what a webhook of the cluster has against an object. Its answer has the status of a missing permission and mostly is none.
func refused(err error) string {
	hook, why, _ := strings.Cut(err.Error(), " denied the request: ")
	text := fmt.Sprintf("the cluster's %s refuses it: %s", strings.TrimPrefix(hook, "admission "), oneLine(why))
	if strings.Contains(why, " is forbidden on ") {
		text += "; Chaos Mesh asks itself whether who makes an object may make its kind in every namespace that it selects"
	}
	return text
}

// said is an error in other words.
type said struct {
	err  error
	text string
}

// Error returns the words.
func (s *said) Error() string { return s.text }

// Unwrap returns the error as it was.
func (s *said) Unwrap() error { return s.err }

func (c *client) inContext() string {
	if c.access.Context == "" {
		return ""
	}
	return fmt.Sprintf(" (context %s)", c.access.Context)
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || apierrors.IsTimeout(err) || errors.As(err, &n) && n.Timeout()
}

// passing reports whether a request may succeed when it is made again: the server is away, restarting or busy. What it refuses, it
// refuses again.
func passing(err error) bool {
	var u *url.Error
	var unknownAuthority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	if errors.As(err, &unknownAuthority) || errors.As(err, &invalid) || errors.As(err, &hostname) {
		return false
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		code := status.Status().Code
		return code == 429 || code >= 500 || apierrors.IsConflict(err)
	}
	return timedOut(err) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) || errors.As(err, &u)
}

// steadily does something until it succeeds, fails for good, or ctx ends, with ever longer pauses in between. Each attempt has a limit
// of its own, so that a server that hangs is asked more than once.
func (c *client) steadily(ctx context.Context, do func(ctx context.Context) error) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	pause, began := firstPause, time.Now()
	for {
		err := func() error {
			one, cancel := context.WithTimeout(ctx, attemptLimit(ctx))
			defer cancel()
			return do(one)
		}()
		if err == nil || !passing(err) {
			return c.plain(err)
		}
		if time.Since(began) >= quietLimit {
			faults.Waiting(ctx, c.plain(err).Error())
		}
		if !sleep(ctx, pause) {
			return c.plain(err)
		}
		pause = min(2*pause, longestPause)
	}
}

// attemptLimit is how long one attempt may take: a third of what is left, so that two more fit in.
func attemptLimit(ctx context.Context) time.Duration {
	end, limited := ctx.Deadline()
	if !limited {
		return requestLimit
	}
	return min(requestLimit, max(time.Second, time.Until(end)/3))
}

// sleep waits, and reports whether ctx still stands after that.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
