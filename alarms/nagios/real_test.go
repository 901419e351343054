package nagios_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/alarms/nagios"
	"gameday/clock"
	"gameday/internal/promrig"
)

// find returns the folder that Debian's packages of Nagios are unpacked in; "/" where they are installed. Without them the
// test is skipped, and fails where CI is set.
func find(t *testing.T) string {
	cache := os.Getenv("GAMEDAY_NAGIOS")
	if cache == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			cache = filepath.Join(dir, "gameday", "nagios")
		}
	}
	unpacked, _ := filepath.Glob(filepath.Join(cache, "*")) // the pattern is a good one
	for _, root := range append(unpacked, "/") {
		_, core := os.Stat(filepath.Join(root, "usr/sbin/nagios4"))
		_, cgis := os.Stat(filepath.Join(root, "usr/lib/cgi-bin/nagios4/archivejson.cgi"))
		if core == nil && cgis == nil {
			return root
		}
	}
	const why = "needs Nagios 4 and its CGIs (tools/setup unpacks Debian's packages nagios4-core and nagios4-cgi)"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

const mainConfig = `log_file=$dir/nagios.log
cfg_file=$dir/objects.cfg
object_cache_file=$dir/objects.cache
precached_object_file=$dir/objects.precache
status_file=$dir/status.dat
status_update_interval=5
temp_file=$dir/nagios.tmp
temp_path=$dir
lock_file=$dir/nagios.lock
state_retention_file=$dir/retention.dat
command_file=$dir/nagios.cmd
check_result_path=$dir/results
query_socket=$dir/nagios.qh
log_archive_path=$dir
nagios_user=$uid
nagios_group=$gid
check_external_commands=1
log_rotation_method=n
use_syslog=0
interval_length=1
check_for_updates=0
log_service_retries=$retries
`

const objects = `define timeperiod {
  timeperiod_name always
  alias always
  sunday 00:00-24:00
  monday 00:00-24:00
  tuesday 00:00-24:00
  wednesday 00:00-24:00
  thursday 00:00-24:00
  friday 00:00-24:00
  saturday 00:00-24:00
}
define command {
  command_name file
  command_line /bin/sh $dir/check
}
define command {
  command_name true
  command_line /bin/true
}
define contact {
  contact_name ann
  host_notification_period always
  service_notification_period always
  host_notification_options d,u,r
  service_notification_options w,u,c,r
  host_notification_commands true
  service_notification_commands true
}
define host {
  host_name payments
  address 127.0.0.1
  check_command true
  check_interval 1
  max_check_attempts 1
  check_period always
  notification_period always
  contacts ann
}
define service {
  host_name payments
  service_description checkout
  check_command file
  check_interval 1
  retry_interval 1
  max_check_attempts 3
  check_period always
  notification_interval 0
  notification_period always
  contacts ann
  notes_url https://runbooks.example/checkout
  action_url https://dashboards.example/checkout
  _SEVERITY page
}
`

const cgiConfig = `main_config_file=$dir/nagios.cfg
physical_html_path=$dir
url_html_path=/nagios4
use_authentication=1
authorized_for_all_services=gameday
authorized_for_all_hosts=gameday
authorized_for_system_information=gameday
`

// rig is a running Nagios with a web server for its CGIs.
type rig struct {
	t    *testing.T
	dir  string
	url  string
	cmd  *exec.Cmd
	root string
}

// start starts a Nagios. It logs soft states when retries is 1.
func start(t *testing.T, retries int) *rig {
	r := &rig{t: t, dir: t.TempDir(), root: find(t)}
	fill := strings.NewReplacer("$dir", r.dir, "$uid", fmt.Sprint(os.Getuid()), "$gid", fmt.Sprint(os.Getgid()), "$retries", fmt.Sprint(retries))
	for name, text := range map[string]string{"nagios.cfg": mainConfig, "objects.cfg": objects, "cgi.cfg": cgiConfig,
		"check": "read state text < $dir/state\necho \"$(date +%s%N) $state\" >> $dir/checks\necho \"$text\"\nexit $state\n"} {
		r.write(name, fill.Replace(text))
	}
	if err := os.Mkdir(filepath.Join(r.dir, "results"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.state(0, "fine")
	server := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(server.Close)
	r.url = server.URL + "/cgi-bin"
	out, err := os.Create(filepath.Join(r.dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r.cmd = exec.Command(filepath.Join(r.root, "usr/sbin/nagios4"), filepath.Join(r.dir, "nagios.cfg"))
	r.cmd.Stdout, r.cmd.Stderr = out, out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers are of its group
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		_ = r.cmd.Wait()
	})
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// state sets what the check reads, as one step.
func (r *rig) state(state int, text string) clock.Interval {
	r.t.Helper()
	r.write("state.new", fmt.Sprintf("%d %s\n", state, text))
	from := time.Now()
	if err := os.Rename(filepath.Join(r.dir, "state.new"), filepath.Join(r.dir, "state")); err != nil {
		r.t.Fatal(err)
	}
	return clock.Between(from, time.Now())
}

// check is one that Nagios has made.
type check struct {
	at    time.Time // when it had read the state
	state string
}

func (c check) String() string { return c.at.Format("05.000") + " found " + c.state }

// checks returns all that Nagios has made, in order, by what they wrote down themselves.
func (r *rig) checks() []check {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "checks"))
	if err != nil {
		r.t.Fatal(err)
	}
	var out []check
	for line := range strings.Lines(string(text)) {
		var ns int64
		var c check
		if _, err := fmt.Sscanf(line, "%d %s\n", &ns, &c.state); err != nil {
			r.t.Fatalf("check %q: %v", line, err)
		}
		c.at = time.Unix(0, ns)
		out = append(out, c)
	}
	return out
}

// latest returns how much later than due a busy Nagios was at most with a check: each is made a second after the one before.
func latest(checks []check) (late time.Duration) {
	for i := range checks[1:] {
		late = max(late, checks[i+1].at.Sub(checks[i].at)-time.Second)
	}
	return late
}

// taken returns when Nagios took the result of a check: before it made the next one, if it has made that by now.
func taken(checks []check, i int) clock.Interval {
	if i+1 < len(checks) {
		return clock.Between(checks[i].at, checks[i+1].at)
	}
	return clock.Between(checks[i].at, time.Now())
}

// serve runs the CGIs, as a web server with basic authentication does.
func (r *rig) serve(w http.ResponseWriter, q *http.Request) {
	user, password, _ := q.BasicAuth()
	if password != "hush" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	h := &cgi.Handler{Path: filepath.Join(r.root, "usr/lib/cgi-bin/nagios4", filepath.Base(q.URL.Path)), Root: "/cgi-bin",
		Env: []string{"NAGIOS_CGI_CONFIG=" + filepath.Join(r.dir, "cgi.cfg"), "REMOTE_USER=" + user}}
	h.ServeHTTP(w, q)
}

// command gives Nagios an external command.
func (r *rig) command(text string) {
	r.t.Helper()
	f, err := os.OpenFile(filepath.Join(r.dir, "nagios.cmd"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "[%d] %s\n", time.Now().Unix(), text); err != nil {
		r.t.Fatal(err)
	}
}

var match = map[string]string{"alertname": "checkout", "host": "payments", "severity": "page"}

func (r *rig) source(user string) *nagios.Source {
	r.t.Helper()
	s, err := nagios.New("nagios.main", nagios.Config{URL: r.url, Username: user, Password: "hush", Poll: "500ms", Update: "5s", Labels: map[string]string{"severity": "SEVERITY"}}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Close)
	return s
}

// ready waits until nothing blocks.
func (r *rig) ready(s *nagios.Source) {
	r.t.Helper()
	last := ""
	promrig.Eventually(r.t, 20*time.Second, "nothing blocks", func() bool {
		found, err := s.Preflight(r.t.Context(), []alarms.Expectation{{Name: "checkout", Match: match}})
		if err != nil {
			r.t.Fatal(err)
		}
		for _, f := range found {
			if f.Blocks || f.Absent != "" {
				if f.Summary != last {
					last = f.Summary
					r.t.Log(f.Summary + ": " + f.Detail)
				}
				return false
			}
		}
		return true
	})
}

// TestReal has a real Nagios raise an alarm, tell somebody, and recover. All of it comes from its log, by its CGIs; that it does not
// log when the problem began is made up for by looking.
func TestReal(t *testing.T) {
	for _, retries := range []int{0, 1} {
		t.Run(fmt.Sprintf("log_service_retries=%d", retries), func(t *testing.T) {
			t.Parallel()
			story(t, start(t, retries))
		})
	}
}

func story(t *testing.T, r *rig) {
	s := r.source("gameday")
	r.ready(s)
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var seen []alarms.Observation
	var mu sync.Mutex
	var watching sync.WaitGroup
	watching.Go(func() {
		err := s.Watch(ctx, func(o alarms.Observation) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, o)
		})
		if err != nil {
			t.Error(err)
		}
	})
	defer func() { cancel(); watching.Wait() }()
	history := func() []alarms.Episode {
		t.Helper()
		episodes, _, err := s.History(t.Context(), clock.Span{Start: began, End: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return episodes
	}
	saw := func(state alarms.State) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			for _, o := range seen {
				if o.State == state {
					return true
				}
			}
			return false
		}
	}
	onset := r.state(2, "payments does not answer")
	promrig.Eventually(t, 20*time.Second, "it has paged", func() bool { e := history(); return len(e) == 1 && !e[0].Paged.IsZero() })
	promrig.Eventually(t, 20*time.Second, "the looks saw it fire", saw(alarms.StateFiring))
	r.command(fmt.Sprintf("SCHEDULE_SVC_DOWNTIME;payments;checkout;%d;%d;1;0;600;ann;maintenance", time.Now().Unix(), time.Now().Unix()+600))
	promrig.Eventually(t, 20*time.Second, "the looks saw the downtime", saw(alarms.StateSuppressed))
	gone := r.state(0, "fine")
	promrig.Eventually(t, 20*time.Second, "it has cleared", func() bool { e := history(); return len(e) == 1 && !e[0].Ended.IsZero() })
	span := clock.Span{Start: began, End: time.Now()}
	episodes, c, err := s.History(t.Context(), span)
	if err != nil || len(episodes) != 1 {
		t.Fatalf("%+v, %v", episodes, err)
	}
	e := episodes[0]
	t.Logf("from the onset: pending %v, firing %v, paged %v; cleared %v; %+v; %+v", e.Pending.Sub(onset), e.Firing.Sub(onset), e.Paged.Sub(onset), e.Ended.Sub(gone), e, c)
	judgeTimes(t, e, onset, gone, r.checks())
	if e.Pending.Lo.After(e.Firing.Hi) || e.Key != "payments;checkout" || e.Labels["severity"] != "page" || e.Notes["summary"] != "payments does not answer" ||
		e.Notes["runbook_url"] != "https://runbooks.example/checkout" || len(e.SuppressedBy) != 1 || e.SuppressedBy[0] != "a downtime" {
		t.Errorf("%+v", e)
	}
	if len(c.Spans) == 0 || c.Resolution != 5*time.Second {
		t.Errorf("%+v", c)
	}
}

// judgeTimes holds what is told of an episode to the checks that Nagios really made. The third in a row that finds a problem has it fire. When one began
// its log may not tell, but that the check before was well; the first that is well again ends it.
func judgeTimes(t *testing.T, e alarms.Episode, onset, gone clock.Interval, checks []check) {
	t.Helper()
	bad := slices.IndexFunc(checks, func(c check) bool { return c.state == "2" })
	well := bad + slices.IndexFunc(checks[max(bad, 0):], func(c check) bool { return c.state == "0" })
	if bad < 1 || well < bad+3 {
		t.Fatalf("it was checked %v", checks)
	}
	late := latest(checks)
	t.Logf("checked %v, late by %s at most", checks[bad-1:min(well+2, len(checks))], late)
	began := clock.Between(checks[bad-1].at, taken(checks, bad).Hi)
	for _, c := range []struct {
		what      string
		is, since clock.Interval
		was       clock.Interval
	}{
		{"pending", e.Pending, onset, began},
		{"firing", e.Firing, onset, taken(checks, bad+2)},
		{"paged", e.Paged, onset, taken(checks, bad+2)},
		{"cleared", e.Ended, gone, taken(checks, well)},
	} {
		l := c.is.Sub(c.since)
		if l.Hi < -late || c.is.Before(c.was) || c.was.Before(c.is) || l.Err() > 3*time.Second+late {
			t.Errorf("%s after %v; it was %v after, and Nagios was late by %s at most", c.what, l, c.was.Sub(c.since), late)
		}
	}
}

// TestRealPreflight has a Nagios that shows nothing to a stranger, and one in which the alarm stands.
func TestRealPreflight(t *testing.T) {
	t.Parallel()
	r := start(t, 0)
	r.ready(r.source("gameday"))
	says := func(s *nagios.Source, want string) func() bool {
		return func() bool {
			found, err := s.Preflight(t.Context(), []alarms.Expectation{{Name: "checkout", Match: match}})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Blocks && strings.Contains(f.Summary+f.Detail, want) {
					return true
				}
			}
			return false
		}
	}
	if s := r.source("stranger"); !says(s, "or the user may not see it")() {
		t.Error("that a stranger sees nothing is taken for that there is nothing")
	}
	r.state(2, "down")
	promrig.Eventually(t, 20*time.Second, "it stands", says(r.source("gameday"), "is critical already"))
}
