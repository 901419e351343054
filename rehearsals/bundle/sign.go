package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Namespace is what signatures of bundles are for: a signature that was made for anything else does not count, and one of ours counts
// nowhere else. See ssh-keygen(1), -Y sign.
const Namespace = "rehearsal-bundle@gameday"

// keygenLimit bounds what the system's ssh-keygen may take to sign: it may wait for a passphrase or a touch.
const keygenLimit = 2 * time.Minute

// Sign signs a manifest by the system's ssh-keygen with a key: a private key's file, or the public key of one that is in an agent.
func Sign(ctx context.Context, key string, manifest []byte) ([]byte, error) {
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		return nil, fmt.Errorf("signing the bundle: there is no ssh-keygen here: install OpenSSH, or pack without signing: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, keygenLimit)
	defer cancel()
	c := exec.CommandContext(ctx, program, "-Y", "sign", "-q", "-f", key, "-n", Namespace)
	var out, said bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(manifest), &out, &said
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("signing the bundle with %s: %s: %w", key, lastLine(said.String()), err)
	}
	if !bytes.HasPrefix(out.Bytes(), []byte("-----BEGIN SSH SIGNATURE-----")) {
		return nil, fmt.Errorf("signing the bundle with %s: ssh-keygen wrote no signature: %s", key, lastLine(said.String()))
	}
	return out.Bytes(), nil
}

// Trust is what is known of a signature.
type Trust int

// What may be known of a signature, from worst to best.
const (
	Unsigned   Trust = iota // there is none
	Broken                  // it is not of this manifest, or no signature
	Unlooked                // it was not looked at, for there is no ssh-keygen
	Unvouched               // it is good, and nobody says whose the key is
	Unaccepted              // it is good, and not by anybody who is allowed to sign
	Vouched                 // it is good, and by somebody who is allowed to sign
)

var trusts = map[Trust]string{Unsigned: "unsigned", Broken: "broken", Unlooked: "not looked at", Unvouched: "good, nobody vouched", Unaccepted: "good, not an allowed signer", Vouched: "good, an allowed signer"}

// String returns what is known in words.
func (t Trust) String() string { return trusts[t] }

// MarshalText writes the words.
func (t Trust) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Signature is what is known of a bundle's signature.
type Signature struct {
	Trust Trust  `json:"is"`
	Key   string `json:"key,omitempty"`   // the fingerprint of the key that signed
	By    string `json:"by,omitempty"`    // the principal in the file of allowed signers
	Text  string `json:"text"`            // a sentence without its full stop
	Asked bool   `json:"asked,omitempty"` // a file of allowed signers was given
}

// Signed looks at the signature of a bundle. allowed is a file of allowed signers as ssh-keygen(1) has it; empty asks only whether the
// signature is good, and by which key. The manifest that counts is the one that is there, changed or not. It needs a folder for files.
func (a *Archive) Signed(ctx context.Context, allowed string) (Signature, error) {
	s := Signature{Asked: allowed != ""}
	if a.signature == nil {
		s.Text = "nobody signed it: whoever could change it could have changed its sums as well"
		return s, nil
	}
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		s.Trust, s.Text = Unlooked, "it is signed, and there is no ssh-keygen here that could look at the signature"
		return s, nil
	}
	dir, err := os.MkdirTemp("", "gameday-verify-*")
	if err != nil {
		return s, fmt.Errorf("looking at the signature: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "signature")
	if err := os.WriteFile(file, a.signature, 0o600); err != nil {
		return s, fmt.Errorf("looking at the signature: %w", err)
	}
	k := keygen{ctx: ctx, program: program, manifest: a.there}
	said, err := k.run("check-novalidate", "-n", Namespace, "-s", file)
	switch {
	case err != nil && unable(said, err):
		s.Trust, s.Text = Unlooked, fmt.Sprintf("it is signed, and %s did not look at the signature: %s: %v", program, lastLine(said), err)
		return s, nil
	case err != nil:
		s.Trust, s.Text = Broken, "the signature is not one of this manifest: "+lastLine(said)
		return s, nil
	}
	s.Key = fingerprint(said)
	s.Trust, s.Text = Unvouched, fmt.Sprintf("the key %s signed it, and nobody vouched for whose that is", s.Key)
	if allowed == "" {
		return s, nil
	}
	if _, err := os.Stat(allowed); err != nil {
		return s, fmt.Errorf("reading the allowed signers: %w", err)
	}
	found, err := k.run("find-principals", "-s", file, "-f", allowed)
	switch {
	case err != nil && unable(found, err):
		s.Trust, s.Text = Unlooked, fmt.Sprintf("the key %s signed it, and %s did not say whether it may: %s: %v", s.Key, program, lastLine(found), err)
		return s, nil
	case err != nil:
		s.Trust, s.Text = Unaccepted, fmt.Sprintf("the key %s signed it, and is none of %s", s.Key, allowed)
		return s, nil
	}
	for name := range strings.Lines(found) {
		name = strings.TrimSpace(name)
		if said, err = k.run("verify", "-n", Namespace, "-s", file, "-f", allowed, "-I", name); err == nil && name != "" {
			s.Trust, s.By, s.Text = Vouched, name, fmt.Sprintf("%s signed it with the key %s, by %s", name, s.Key, allowed)
			return s, nil
		}
	}
	s.Trust, s.Text = Unaccepted, fmt.Sprintf("the key %s signed it, and %s does not let it: %s", s.Key, allowed, lastLine(said))
	return s, nil
}

// keygen calls ssh-keygen about one manifest.
type keygen struct {
	ctx      context.Context
	program  string
	manifest []byte
}

func (k keygen) run(verb string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(k.ctx, keygenLimit)
	defer cancel()
	c := exec.CommandContext(ctx, k.program, append([]string{"-Y", verb}, args...)...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	var out bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(k.manifest), &out, &out
	err := c.Run()
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return out.String(), err
}

// unable reports whether a call failed for another reason than the signature: the program was killed or took too long, or it is of before
// OpenSSH 8.2 and does not know what it is asked. It answers with its usage then.
func unable(said string, err error) bool {
	var exit *exec.ExitError
	return !errors.As(err, &exit) || exit.ExitCode() < 0 || strings.Contains(said, "usage: ssh-keygen")
}

// fingerprint takes the key's fingerprint of what ssh-keygen says: "Good "x" signature with ED25519 key SHA256:…".
func fingerprint(said string) string {
	for word := range strings.FieldsSeq(said) {
		if strings.HasPrefix(word, "SHA256:") {
			return word
		}
	}
	return "of unknown fingerprint"
}

func lastLine(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return strings.TrimSuffix(strings.TrimSpace(lines[len(lines)-1]), ".")
}
