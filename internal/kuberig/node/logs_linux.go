package node

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"gameday/internal/kuberig"
)

// kubeletPort is where the API server asks for logs.
const kubeletPort = "10250"

// serveLogs answers the API server's questions for the logs of containers, as a kubelet does.
func (n *Node) serveLogs() error {
	config, err := n.c.KubeletTLS()
	if err != nil {
		return err
	}
	listener, err := n.c.Listen(net.JoinHostPort(kuberig.Address, kubeletPort))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.answerLogs)
	n.logs = &http.Server{Handler: mux}
	n.wait.Go(func() { _ = n.logs.Serve(tls.NewListener(listener, config)) })
	return nil
}

// answerLogs answers with what a container has printed, and with follow goes on until it ends.
func (n *Node) answerLogs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := n.Container(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
	if id == "" || q.Get("previous") == "true" {
		http.Error(w, "this rig has no such container, or no longer", http.StatusNotFound)
		return
	}
	ask := url.Values{"stdout": {"1"}, "stderr": {"1"}}
	if q.Get("follow") == "true" {
		ask.Set("follow", "1")
	}
	if q.Get("timestamps") == "true" {
		ask.Set("timestamps", "1")
	}
	if tail := q.Get("tailLines"); tail != "" {
		ask.Set("tail", tail)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	body, err := n.openLogs(ctx, id, ask)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer body.Close()
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	// An end that is not one shows to whoever reads, as a broken connection.
	if err := frames(body, func(part io.Reader) error {
		if _, err := io.Copy(w, part); err != nil {
			return err
		}
		return flush.Flush()
	}); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// openLogs opens the engine's log of a container.
func (n *Node) openLogs(ctx context.Context, id string, ask url.Values) (io.ReadCloser, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", n.Engine.Socket)
		}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/containers/"+id+"/logs?"+ask.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		_ = response.Body.Close()
		return nil, fmt.Errorf("the engine answers %s: %s", response.Status, text)
	}
	return response.Body, nil
}

// frames calls f with each part of a container's log: the engine sends a header of eight bytes before it, which ends with
// its length.
func frames(r io.Reader, f func(io.Reader) error) error {
	var header [8]byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := f(io.LimitReader(r, int64(binary.BigEndian.Uint32(header[4:])))); err != nil {
			return err
		}
	}
}
