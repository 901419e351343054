package kubernetes

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// stampedLine is a line of a log.
type stampedLine struct {
	at   time.Time
	text string // with its end, once it has one
}

// stampedLog is a container's log as a node keeps it: lines with times, those of its newest file.
type stampedLog struct {
	lines []stampedLine
	gone  int // lines that were rotated away
}

func (l *stampedLog) add(b []byte) {
	for part := range strings.Lines(string(b)) {
		if n := len(l.lines); n > 0 && !strings.HasSuffix(l.lines[n-1].text, "\n") {
			l.lines[n-1].text += part
			continue
		}
		l.lines = append(l.lines, stampedLine{time.Now().UTC(), part})
	}
}

// rotate takes what is there away from those who begin to read now.
func (p *container1) rotate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.gone = len(p.log.lines)
}

// lines returns how many lines it has printed.
func (p *container1) lines() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.log.lines)
}

// outdated reports whether a pod's annotations are others than the files that it was given have.
func (p *container1) outdated(pod *corev1.Pod) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen != fmt.Sprint(pod.Annotations)
}

// given takes note that the pod has files with its annotations.
func (p *container1) given(pod *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.mounted = fmt.Sprint(pod.Annotations), time.Now()
}

// mount makes the files of a pod's projected volumes, in a folder for each mount: those of Secrets and of the pod itself.
func (k *kubelet) mount(p *corev1.Pod, dir string) error {
	for i, m := range p.Spec.Containers[0].VolumeMounts {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := os.MkdirAll(at, 0o700); err != nil {
			return err
		}
		for _, v := range p.Spec.Volumes {
			if v.Name != m.Name || v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if err := k.project(p, s, at); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// project writes what one source of a volume has, each file in one piece.
func (k *kubelet) project(p *corev1.Pod, s corev1.VolumeProjection, at string) error {
	write := func(name string, b []byte) error {
		next := filepath.Join(at, "."+name)
		if err := os.WriteFile(next, b, 0o600); err != nil {
			return err
		}
		return os.Rename(next, filepath.Join(at, name))
	}
	if s.Secret != nil {
		var secret corev1.Secret
		if err := k.c.Get("/api/v1/namespaces/"+p.Namespace+"/secrets/"+s.Secret.Name, &secret); err != nil {
			return err
		}
		for _, item := range s.Secret.Items {
			b, ok := secret.Data[item.Key]
			if !ok {
				return fmt.Errorf("the secret has no %s", item.Key)
			}
			if err := write(item.Path, b); err != nil {
				return err
			}
		}
	}
	if s.DownwardAPI != nil {
		for _, item := range s.DownwardAPI.Items {
			value := p.Namespace // what the cluster adds for a service account has that alone
			if name, ok := strings.CutPrefix(item.FieldRef.FieldPath, "metadata.annotations['"); ok {
				value = p.Annotations[strings.TrimSuffix(name, "']")]
			} else if item.FieldRef.FieldPath != "metadata.namespace" {
				return fmt.Errorf("a field that this kubelet does not know: %s", item.FieldRef.FieldPath)
			}
			if err := write(item.Path, []byte(value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// inside makes of a variable that names a mount one that names the folder in which it really is.
func inside(variable string, p *corev1.Pod, dir string) string {
	name, value, _ := strings.Cut(variable, "=")
	for i, m := range p.Spec.Containers[0].VolumeMounts {
		if rest, ok := strings.CutPrefix(value, m.MountPath); ok {
			return name + "=" + filepath.Join(dir, fmt.Sprint(i)) + rest
		}
	}
	return variable
}

// stamped answers for a log with times, from some second on: of the lines that were not rotated away when it was asked.
func (k *kubelet) stamped(w http.ResponseWriter, q *http.Request, run *container1) {
	var since time.Time
	if text := q.URL.Query().Get("sinceTime"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	run.mu.Lock()
	next := run.log.gone
	run.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		over := run.ended()
		run.mu.Lock()
		lines := run.log.lines[next:]
		if n := len(lines); n > 0 && !over && !strings.HasSuffix(lines[n-1].text, "\n") {
			lines = lines[:n-1]
		}
		var out strings.Builder
		for _, l := range lines {
			if !l.at.Before(since) {
				out.WriteString(l.at.Format(time.RFC3339Nano) + " " + l.text)
			}
		}
		next += len(lines)
		run.mu.Unlock()
		_, _ = io.WriteString(w, out.String())
		w.(http.Flusher).Flush()
		if over {
			return
		}
		select {
		case <-tick.C:
		case <-q.Context().Done():
			return
		}
	}
}
