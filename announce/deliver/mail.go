package deliver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"gameday/announce"
)

// mail sends a message by SMTP, once, to all recipients or to none: a server that refuses one of them gets no message.
func (s *Sender) mail(ctx context.Context, c *announce.Channel, m *announce.Message, k *keys) announce.Outcome {
	final := func(err error) announce.Outcome { return announce.Outcome{Err: err, Final: true} }
	letter, err := compose(c, m, time.Now())
	if err != nil {
		return final(err)
	}
	client, err := s.mailClient(ctx, c, k)
	if err != nil {
		return final(err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return announce.Outcome{Err: s.mailError(ctx, err), Final: permanent(err)}
	}
	err = client.Send(letter)
	_ = client.Close()                       // the server has taken it or refused it before
	if err != nil && !letter.IsDelivered() { // a connection that breaks afterwards takes nothing back
		return announce.Outcome{Err: s.mailError(ctx, err), Final: permanent(err)}
	}
	return announce.Outcome{Text: "taken by " + c.Mail.Server}
}

// compose makes a letter of a message: plain text, and a Message-ID that is the same for each try.
func compose(c *announce.Channel, m *announce.Message, sent time.Time) (*mail.Msg, error) {
	letter := mail.NewMsg()
	if err := letter.From(c.Mail.From); err != nil {
		return nil, fmt.Errorf("from is no address: %w", err)
	}
	if err := letter.To(c.Mail.Recipients...); err != nil {
		return nil, fmt.Errorf("a recipient is no address: %w", err)
	}
	domain := "gameday"
	if from := letter.GetFromString(); len(from) > 0 {
		if _, d, ok := strings.Cut(strings.Trim(from[0], "<>"), "@"); ok {
			domain = d
		}
	}
	letter.SetMessageIDWithValue(m.ID + "@" + domain)
	letter.SetDateWithValue(sent)
	letter.Subject(m.Title)
	letter.SetUserAgent("gameday")
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's absence is to be answered (RFC 3834)
	letter.SetBodyString(mail.TypeTextPlain, m.Text())
	return letter, nil
}

// mailClient returns a client for a channel's server.
func (s *Sender) mailClient(ctx context.Context, c *announce.Channel, k *keys) (*mail.Client, error) {
	host, portText, err := net.SplitHostPort(c.Mail.Server)
	if err != nil {
		return nil, fmt.Errorf("server %q is not a host and a port", c.Mail.Server)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("server %q has no port", c.Mail.Server)
	}
	config, err := tlsConfig(c, host)
	if err != nil {
		return nil, err
	}
	options := []mail.Option{mail.WithPort(port), mail.WithTimeout(s.timeout()), mail.WithTLSConfig(config)}
	switch c.Mail.TLS {
	case announce.Implicit:
		options = append(options, mail.WithSSL())
	case announce.NoTLS: // it stays on this machine
		options = append(options, mail.WithTLSPolicy(mail.NoTLS), mail.WithDialContextFunc(endsWith(ctx)))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithDialContextFunc(endsWith(ctx)))
	}
	if c.Mail.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.Mail.Username), mail.WithPassword(k.secret))
	}
	return mail.NewClient(host, options...)
}

// endsWith dials a connection that ends with ctx. go-mail bounds each step by itself.
func endsWith(ctx context.Context) mail.DialContextFunc {
	return func(dial context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dial, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
}

// permanent reports whether a server said that it will never take the message.
func permanent(err error) bool {
	var refused *mail.SendError
	if errors.As(err, &refused) {
		return !refused.IsTemp() && refused.ErrorCode() >= 500
	}
	var code *textproto.Error // of signing in
	return errors.As(err, &code) && code.Code >= 500
}

// mailError words a time-out.
func (s *Sender) mailError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return errBroken
	}
	var slow net.Error
	if ctx.Err() != nil || errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("not done within %s", s.timeout())
	}
	return err
}
