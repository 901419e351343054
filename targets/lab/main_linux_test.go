package lab

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"gameday/targets/lab/power"
)

// The test binary is, besides the tests: the program that enters a lab, its conductor, a guard, and what nodes run.
const (
	partVariable = "LAB_TEST_PART" // which of these; empty for the tests
	dirVariable  = "LAB_TEST_DIR"  // where the parts leave notes
)

func TestMain(m *testing.M) {
	RunRole()
	switch os.Getenv(partVariable) {
	case "":
		os.Exit(m.Run())
	case "conductor":
		os.Exit(enterOrConduct())
	case "guard":
		os.Exit(guard())
	case "server":
		os.Exit(server())
	}
	os.Exit(99)
}

// enterOrConduct is what a command does: enter a lab, or, already inside, go on.
func enterOrConduct() int {
	if c, ok := Inside(); ok {
		return conduct(c)
	}
	grace, _ := time.ParseDuration(os.Getenv("LAB_TEST_GRACE"))
	exit, err := Enter(EnterOptions{Grace: grace})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	return exit
}

// order is one line to the test conductor, and answer its line in return.
type order struct {
	Do     string        `json:"do"`
	Node   string        `json:"node,omitempty"`
	Down   time.Duration `json:"down,omitempty"`
	URL    string        `json:"url,omitempty"`
	Within time.Duration `json:"within,omitempty"` // of get
	Code   int           `json:"code,omitempty"`
	Stay   bool          `json:"stay,omitempty"`
	Config *Config       `json:"config,omitempty"`
}

type answerLine struct {
	Error string        `json:"error,omitempty"`
	Text  string        `json:"text,omitempty"`
	Took  time.Duration `json:"took"`
	Round time.Duration `json:"round,omitempty"` // of a connection's first packets, as the kernel measured it
	Nodes []power.State `json:"nodes,omitempty"`
}

// note leaves a line in the notes that tests read.
func note(format string, args ...any) {
	f, err := os.OpenFile(filepath.Join(os.Getenv(dirVariable), "notes"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, format+"\n", args...)
}

// conduct does as it is told, line by line.
func conduct(c *Client) int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, abandoned)
	if os.Getenv("LAB_TEST_DEAF") != "" {
		signal.Ignore(syscall.SIGTERM, abandoned)
	}
	orders := make(chan order)
	go func() {
		defer close(orders)
		in := bufio.NewScanner(os.Stdin)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			var o order
			if json.Unmarshal(in.Bytes(), &o) == nil {
				orders <- o
			}
		}
	}()
	note("conductor began, terminal %v", term.IsTerminal(1))
	for {
		select {
		case s := <-signals:
			note("signal %s", s)
			if s == syscall.SIGTERM || s == abandoned {
				note("unwound")
				return 42
			}
		case o, more := <-orders:
			if !more {
				orders = nil // as a conductor does whose input is a file that ended
				continue
			}
			if o.Do == "exit" {
				return o.Code
			}
			began := time.Now()
			a := obey(c, o)
			a.Took = time.Since(began)
			line, _ := json.Marshal(a)
			fmt.Println(string(line))
		}
	}
}

// held is a connection that the conductor keeps, to see what becomes of it.
var held net.Conn

// hold makes that connection. It is connected if nothing had to be sent twice for it.
func hold(to string) (text string, round time.Duration, err error) {
	if held, err = net.Dial("tcp", to); err != nil {
		return "", 0, err
	}
	raw, err := held.(*net.TCPConn).SyscallConn()
	if err != nil {
		return "", 0, err
	}
	var info *unix.TCPInfo
	var failed error
	err = raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err = errors.Join(err, failed); err != nil {
		return "", 0, err
	}
	text = "connected"
	if info.Total_retrans > 0 {
		text = fmt.Sprintf("connected after %d packets were sent again", info.Total_retrans)
	}
	return text, time.Duration(info.Rtt) * time.Microsecond, nil
}

func obey(c *Client, o order) (a answerLine) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var err error
	switch o.Do {
	case "start":
		dir := os.Getenv(dirVariable)
		err = c.Start(ctx, *o.Config, StartOptions{Folder: dir, Logs: filepath.Join(dir, "logs")})
	case "stop":
		err = c.Stop(ctx)
	case "nodes":
		a.Nodes, err = c.Nodes(ctx)
	case "off":
		err = c.PowerOff(ctx, o.Node, o.Down)
	case "on":
		err = c.PowerOn(ctx, o.Node)
	case "get":
		a.Text, err = get(o.URL, cmp.Or(o.Within, 10*time.Second))
	case "read":
		var b []byte
		b, err = os.ReadFile(o.URL)
		a.Text = string(b)
	case "links":
		a.Text, err = links()
	case "hold":
		a.Text, a.Round, err = hold(o.URL)
	case "held":
		held.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, seen := held.Read(make([]byte, 1))
		a.Text = fmt.Sprint(seen)
		held.Close()
	case "guard":
		err = startGuard(o.Stay)
	case "kill": // a pid as the lab has it
		err = syscall.Kill(o.Code, syscall.SIGKILL)
	default:
		err = fmt.Errorf("no such order %q", o.Do)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// get fetches a page with a fresh connection.
func get(url string, within time.Duration) (string, error) {
	client := http.Client{Timeout: within, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

func links() (string, error) {
	all, err := net.Interfaces()
	var names []string
	for _, l := range all {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " "), err
}

// guards are those that this conductor started. Their pipes are closed when it dies, and not by the garbage collector when nothing
// refers to them any more.
var guards []*exec.Cmd

// startGuard starts a guard as conductors do: own session, a pipe whose end tells it that we died.
func startGuard(stay bool) error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), partVariable+"=guard", fmt.Sprintf("LAB_TEST_STAY=%v", stay))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	guards = append(guards, cmd)
	_, err = bufio.NewReader(out).ReadString('\n')
	return err
}

// guard undoes its fault when its input ends, which takes it a while; or it never does.
func guard() int {
	fmt.Println("guarding")
	io.Copy(io.Discard, os.Stdin)
	if os.Getenv("LAB_TEST_STAY") == "true" {
		<-time.After(time.Hour) // select {} would be a deadlock to a runtime without cgo
	}
	<-time.After(300 * time.Millisecond)
	note("undone")
	return 0
}

// server is what nodes run: it tells what it sees, and fetches from others on request.
func server() int {
	http.HandleFunc("/name", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintf(w, "%s %s %s", name, os.Getenv(nodeVariable), r.RemoteAddr)
	})
	http.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(r.FormValue("path"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Write(b)
	})
	http.HandleFunc("/list", func(w http.ResponseWriter, r *http.Request) {
		entries, _ := os.ReadDir(r.FormValue("path"))
		for _, e := range entries {
			fmt.Fprintln(w, e.Name())
		}
	})
	http.HandleFunc("/links", func(w http.ResponseWriter, _ *http.Request) {
		text, _ := links()
		fmt.Fprint(w, text)
	})
	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		text, err := get(r.FormValue("url"), 10*time.Second)
		fmt.Fprintf(w, "%s %v", text, err)
	})
	http.HandleFunc("/ping", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, ping(r.FormValue("host")))
	})
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	fmt.Println("serving on", os.Getenv("LAB_TEST_PORT"))
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":"+os.Getenv("LAB_TEST_PORT"), nil))
	return 1
}

// ping sends one ICMP echo request and waits for its reply.
func ping(host string) string {
	conn, err := net.Dial("ip4:icmp", host)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	request := []byte{8, 0, 0, 0, 0x67, 0x64, 0, 1}
	sum := ^uint16(0x0800 + 0x6764 + 0x0001)
	request[2], request[3] = byte(sum>>8), byte(sum)
	if _, err := conn.Write(request); err != nil {
		return err.Error()
	}
	reply := make([]byte, 128)
	for {
		n, _, err := conn.(*net.IPConn).ReadFrom(reply) // unlike Read it strips the IP header
		if err != nil {
			return err.Error()
		}
		if n >= 8 && reply[0] == 0 && reply[4] == 0x67 && reply[5] == 0x64 {
			return "pong"
		}
	}
}
