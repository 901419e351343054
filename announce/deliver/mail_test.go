package deliver

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/announce"
	"gameday/internal/portrig"
)

// letters is a mail server of a test: SMTP (RFC 5321) with STARTTLS and AUTH PLAIN, which misbehaves as it is told.
type letters struct {
	t        *testing.T
	listener net.Listener
	config   *tls.Config
	ca       string // file of its certificate
	implicit bool
	// What it does.
	plain    bool              // it offers no STARTTLS
	silent   bool              // it never says a word
	breaks   bool              // it breaks off after it has taken a letter
	password string            // what it lets in
	refuse   map[string]string // what it answers to a recipient

	mu    sync.Mutex
	taken []string // with the envelope's recipients in the first line
	clear []string // what was said before it was encrypted
	signs int      // attempts to sign in
}

func startLetters(t *testing.T, change func(*letters)) *letters {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "letters"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l := &letters{t: t, password: password, config: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ca: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(l.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(l)
	}
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.listener.Close()
		all.Wait()
	})
	return l
}

// serve speaks with one client.
func (l *letters) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return
	}
	if l.implicit {
		conn = tls.Server(conn, l.config)
	}
	encrypted := l.implicit
	in := bufio.NewReader(conn)
	if l.silent {
		_, _ = in.ReadString('\n') // until the client gives up
		return
	}
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 letters ESMTP")
	signed, to := false, []string{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		if !encrypted {
			l.mu.Lock()
			l.clear = append(l.clear, line)
			l.mu.Unlock()
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			l.hello(say, encrypted)
		case "STARTTLS":
			say("220 go ahead")
			conn = tls.Server(conn, l.config)
			in, encrypted = bufio.NewReader(conn), true
		case "AUTH":
			l.mu.Lock()
			l.signs++
			l.mu.Unlock()
			want := "PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00gameday\x00"+l.password))
			if signed = rest == want; !signed {
				say("535 5.7.8 no such user: %s", rest)
				continue
			}
			say("235 welcome")
		case "MAIL":
			if to = nil; !signed {
				say("530 5.7.0 sign in first")
				continue
			}
			say("250 ok")
		case "RCPT":
			if answer := l.refuse[strings.Trim(strings.TrimPrefix(rest, "TO:"), "<>")]; answer != "" {
				say("%s", answer)
				continue
			}
			to = append(to, rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			l.take(in, to)
			say("250 taken")
			if l.breaks {
				return
			}
		case "RSET", "NOOP":
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what?")
		}
	}
}

// hello says what it can do.
func (l *letters) hello(say func(string, ...any), encrypted bool) {
	say("250-letters")
	if !encrypted && !l.plain {
		say("250-STARTTLS")
	}
	say("250-AUTH PLAIN LOGIN")
	say("250 8BITMIME")
}

// take reads a letter.
func (l *letters) take(in *bufio.Reader, to []string) {
	var b strings.Builder
	b.WriteString(strings.Join(to, " ") + "\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken = append(l.taken, b.String())
}

const password = "s3cr3t-0f-the-mail-server"

// mailTo returns a channel to a server, and who sends to it.
func mailTo(l *letters, how announce.MailTLS) (*announce.Channel, *Sender, *waits) {
	w := &waits{}
	return &announce.Channel{Kind: announce.Email, Name: "team", CAFile: l.ca, Secret: announce.Secret{Env: "PASSWORD"}, Mail: announce.Mail{
			Server: l.listener.Addr().String(), From: "Game days <gameday@example.com>", Recipients: []string{"ann@example.com", "bob@example.com"}, Username: "gameday", TLS: how}},
		&Sender{Getenv: func(string) string { return password }, Patience: time.Minute, Wait: w.wait}, w
}

// TestMail sends letters by STARTTLS and by TLS, and says nothing before it is encrypted.
func TestMail(t *testing.T) {
	for _, how := range []announce.MailTLS{announce.StartTLS, announce.Implicit} {
		t.Run(string(how), func(t *testing.T) {
			l := startLetters(t, func(l *letters) { l.implicit = how == announce.Implicit })
			c, s, _ := mailTo(l, how)
			m := &announce.Message{ID: "0123456789abcdef01234567", Event: announce.Coming, Title: "Game day – “weekly” is äußerst near", Lines: []string{"schedule weekly: checkout", ".", "a line that is ", strings.Repeat("long ", 60)}}
			if out := s.Send(t.Context(), c, m); out.Err != nil || out.Tries != 1 {
				t.Fatalf("it is %+v", out)
			}
			if len(l.taken) != 1 {
				t.Fatalf("%d letters were taken", len(l.taken))
			}
			envelope, text, _ := strings.Cut(l.taken[0], "\n")
			if envelope != "TO:<ann@example.com> TO:<bob@example.com>" {
				t.Errorf("it went %s", envelope)
			}
			letter, err := mail.ReadMessage(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := letter.Header.Get("Message-Id"); got != "<0123456789abcdef01234567@example.com>" {
				t.Errorf("its identity is %q", got)
			}
			if letter.Header.Get("Auto-Submitted") != "auto-generated" {
				t.Error("out-of-office answers come back")
			}
			if date, err := letter.Header.Date(); err != nil || time.Since(date) > time.Minute {
				t.Errorf("its date is %s: %v", date, err)
			}
			for _, said := range l.clear {
				if verb, _, _ := strings.Cut(said, " "); verb != "EHLO" && verb != "STARTTLS" {
					t.Errorf("before it was encrypted, it said %q", said)
				}
			}
		})
	}
}

// TestMailRefused meets servers that do not take a letter.
func TestMailRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(*letters)
		err    string
		tries  int
		final  bool
		taken  int
	}{
		{"no STARTTLS", func(l *letters) { l.plain = true }, "STARTTLS", 5, false, 0},
		{"another password", func(l *letters) { l.password = "another" }, "no such user", 1, true, 0},
		{"one recipient is unknown", func(l *letters) { l.refuse = map[string]string{"bob@example.com": "550 5.1.1 no such person"} }, "no such person", 1, true, 0},
		{"busy", func(l *letters) { l.refuse = map[string]string{"ann@example.com": "451 4.7.1 come back later"} }, "come back later", 5, false, 0},
		{"breaks off after it has taken it", func(l *letters) { l.breaks = true }, "", 1, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := startLetters(t, tt.change)
			c, s, _ := mailTo(l, announce.StartTLS)
			out := s.Send(t.Context(), c, toldMessage())
			if tt.err == "" && out.Err != nil || tt.err != "" && (out.Err == nil || !strings.Contains(out.Err.Error(), tt.err)) {
				t.Errorf("it says %v, want %q", out.Err, tt.err)
			}
			if out.Tries != tt.tries || out.Final != tt.final || len(l.taken) != tt.taken {
				t.Errorf("it is %+v, and %d letters were taken", out, len(l.taken))
			}
			if text := fmt.Sprint(out.Err); strings.Contains(text, password) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("\x00gameday\x00"+password))) {
				t.Errorf("%q has the password in it", text)
			}
			if tt.name == "no STARTTLS" && l.signs > 0 {
				t.Error("it signs in in the clear")
			}
		})
	}
}

// TestMailSilence waits for a server that never says a word for no longer than it may, and believes no other certificate.
func TestMailSilence(t *testing.T) {
	l := startLetters(t, func(l *letters) { l.silent = true })
	c, s, _ := mailTo(l, announce.StartTLS)
	s.Timeout, s.Patience = 100*time.Millisecond, 0
	if out := s.Send(t.Context(), c, toldMessage()); out.Err == nil || out.Err.Error() != "not done within 100ms" || out.Tries != 1 || out.Final {
		t.Errorf("it is %+v", out)
	}
	other := startLetters(t, nil)
	c, s, _ = mailTo(other, announce.StartTLS)
	c.CAFile, s.Patience = l.ca, 0
	if out := s.Send(t.Context(), c, toldMessage()); out.Err == nil || !strings.Contains(out.Err.Error(), "certificate") || other.signs > 0 {
		t.Errorf("it believes another certificate: %+v", out)
	}
	c.Mail.Server = portrig.Address(t)
	if out := s.Send(t.Context(), c, toldMessage()); out.Err == nil || !strings.Contains(out.Err.Error(), "refused") || out.Final {
		t.Errorf("where nobody listens it is %+v", out)
	}
}
