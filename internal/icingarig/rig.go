// Package icingarig runs a real Icinga 2 for tests: a plain process on 127.0.0.1 with a certificate of an authority of its own,
// in the test's own folder, ended with the test. It is never the machine's service.
package icingarig

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/bound"
	"gameday/internal/portrig"
	"gameday/internal/promrig"
)

// ready is how long it may take until it answers.
const ready = 30 * time.Second

// The API users: one may all, the other what gameday's pages say that it needs.
const (
	Admin    = "root"
	Reader   = "gameday"
	Password = "only-for-a-test"
	Node     = "rig" // the name in its certificate
)

// Icinga is a running Icinga 2.
type Icinga struct {
	URL    string // https://127.0.0.1:PORT
	CAFile string
	Dir    string

	t      testing.TB
	path   string
	log    string
	define []string
	cmd    *exec.Cmd
	http   *http.Client
}

// Options of an Icinga.
type Options struct {
	Config      string   // objects beside the API, the checker and the notifier; $dir is the rig's folder
	Permissions []string // of Reader; without any it may all
}

// look finds the program. Without it the test is skipped, and fails where CI is set.
func look(t testing.TB) string {
	t.Helper()
	for _, path := range []string{"icinga2", "/usr/sbin/icinga2"} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	const why = "needs the program icinga2 (Debian package icinga2-bin)"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// Start starts an Icinga 2 and waits until it answers.
func Start(t testing.TB, o Options) *Icinga {
	t.Helper()
	path, dir := look(t), t.TempDir()
	port := portrig.Keep(t)
	r := &Icinga{URL: fmt.Sprintf("https://127.0.0.1:%d", port), CAFile: filepath.Join(dir, "data", "ca", "ca.crt"), Dir: dir, t: t, path: path,
		log: filepath.Join(dir, "log", "out")}
	r.http = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for _, d := range []string{"etc", "data/ca", "data/certs", "data/api", "cache", "run", "log", "spool/perfdata", "spool/tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"ConfigDir": "etc", "DataDir": "data", "CacheDir": "cache", "InitRunDir": "run", "LogDir": "log", "SpoolDir": "spool",
		"PidPath": "run/icinga2.pid"} {
		r.define = append(r.define, "-D", name+"="+filepath.Join(dir, value))
	}
	r.define = append(r.define, "-D", "RunAsUser="+me.Username, "-D", "RunAsGroup="+group.Name)
	r.certify()
	r.write("etc/icinga2.conf", configuration(port, o))
	t.Cleanup(r.Stop)
	r.Run()
	return r
}

// configuration writes the whole configuration.
func configuration(port int, o Options) string {
	permissions := `"*"`
	if len(o.Permissions) > 0 {
		permissions = `"` + strings.Join(o.Permissions, `", "`) + `"`
	}
	return fmt.Sprintf(`include <itl>
const NodeName = %[1]q
const ZoneName = %[1]q
object Endpoint NodeName { }
object Zone ZoneName { endpoints = [ NodeName ] }
object CheckerComponent "checker" { }
object NotificationComponent "notification" { }
object ApiListener "api" {
  bind_host = "127.0.0.1"
  bind_port = %[2]d
}
object ApiUser %[3]q {
  password = %[5]q
  permissions = [ "*" ]
}
object ApiUser %[4]q {
  password = %[5]q
  permissions = [ %[6]s ]
}
`, Node, port, Admin, Reader, Password, permissions) + o.Config
}

// certify makes an authority and a certificate.
func (r *Icinga) certify() {
	r.t.Helper()
	in := func(name string) string { return filepath.Join(r.Dir, "data/certs", name) }
	for _, args := range [][]string{{"pki", "new-ca"}, {"pki", "new-cert", "--cn", Node, "--key", in(Node + ".key"), "--csr", in(Node + ".csr")},
		{"pki", "sign-csr", "--csr", in(Node + ".csr"), "--cert", in(Node + ".crt")}} {
		if out, err := exec.Command(r.path, append(args, r.define...)...).CombinedOutput(); err != nil {
			r.t.Fatalf("icinga2 %v: %v\n%s", args, err, out)
		}
	}
	ca, err := os.ReadFile(r.CAFile)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("data/certs/ca.crt", string(ca))
}

func (r *Icinga) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(strings.ReplaceAll(text, "$dir", r.Dir)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// Run starts the program, again after a Stop, and waits until it answers.
func (r *Icinga) Run() {
	r.t.Helper()
	out, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	r.cmd = exec.Command(r.path, append([]string{"daemon", "-c", filepath.Join(r.Dir, "etc/icinga2.conf")}, r.define...)...)
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.Dir = out, out, r.Dir
	// It is several processes, and a test that is killed must not leave one behind.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := bound.Start(r.cmd, syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	promrig.Eventually(r.t, ready, "icinga2 answers; see "+r.log, func() bool {
		_, err := r.ask(http.MethodGet, "/v1", nil)
		return err == nil
	})
}

// Stop ends the program, by asking and then by force, and waits for it.
func (r *Icinga) Stop() {
	if r.cmd == nil {
		return
	}
	pid := r.cmd.Process.Pid
	r.signal(syscall.SIGCONT)
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	_ = r.cmd.Wait()
	force.Stop()
	_ = syscall.Kill(-pid, syscall.SIGKILL) // what is left of its group
	r.cmd = nil
}

// Freeze stops all of its processes without ending them; Thaw lets them go on.
func (r *Icinga) Freeze() { r.signal(syscall.SIGSTOP) }

// Thaw lets a frozen program go on.
func (r *Icinga) Thaw() { r.signal(syscall.SIGCONT) }

func (r *Icinga) signal(s syscall.Signal) { _ = syscall.Kill(-r.cmd.Process.Pid, s) }

// ask asks the API as Admin.
func (r *Icinga) ask(method, path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(context.Background(), method, r.URL+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(Admin, Password)
	request.Header.Set("Accept", "application/json")
	response, err := r.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	out, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, out)
	}
	return out, err
}

// Act carries out an action, such as acknowledge-problem, on one service.
func (r *Icinga) Act(action, host, service string, more map[string]any) {
	r.t.Helper()
	body := map[string]any{"type": "Service", "filter": "host.name == h && service.name == s", "filter_vars": map[string]string{"h": host, "s": service}}
	for k, v := range more {
		body[k] = v
	}
	if out, err := r.ask(http.MethodPost, "/v1/actions/"+action, body); err != nil || !bytes.Contains(out, []byte(`"code":200`)) {
		r.t.Fatalf("%s: %v: %s", action, err, out)
	}
}

// State returns the state of a service as the API has it.
func (r *Icinga) State(host, service string) int {
	r.t.Helper()
	out, err := r.ask(http.MethodGet, "/v1/objects/services?attrs=state&services="+url.QueryEscape(host+"!"+service), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	var answer struct {
		Results []struct {
			Attrs struct {
				State float64 `json:"state"`
			} `json:"attrs"`
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Results) != 1 {
		r.t.Fatalf("%v: %s", err, out)
	}
	return int(answer.Results[0].Attrs.State)
}
