package bundle

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gameday/internal/scriptrig"
)

// key makes an SSH key with the system's ssh-keygen, and returns its file and its public half.
func key(t *testing.T, name string) (file, public string) {
	t.Helper()
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no ssh-keygen here")
	}
	file = filepath.Join(t.TempDir(), name)
	if out, err := exec.Command(program, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(string(b))
}

// allowedSigners is a file of allowed signers.
func allowedSigners(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "allowed_signers")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// bundled is a small bundle, signed so.
func bundled(t *testing.T, sign func([]byte) ([]byte, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, &Manifest{Rehearsal: "r", Made: noon, Records: []Record{}}, []Source{{Path: "a", Data: []byte("x")}}, sign); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bundledBy is a small bundle, signed with a key.
func bundledBy(t *testing.T, key string) []byte {
	t.Helper()
	return bundled(t, func(m []byte) ([]byte, error) { return Sign(t.Context(), key, m) })
}

// signatureCase is a bundle, and what is said of its signature.
type signatureCase struct {
	bundle  []byte
	allowed string
	trust   Trust
	want    string
	exit    int
}

// try has the system's ssh-keygen look at the signature.
func (x signatureCase) try(t *testing.T) {
	r := &Result{Version: "1", Verifier: "1"}
	a, err := Read(bytes.NewReader(x.bundle), int64(len(x.bundle)))
	if err != nil {
		t.Fatal(err)
	}
	r.Changed = a.Findings
	if r.Signature, err = a.Signed(t.Context(), x.allowed); err != nil {
		t.Fatal(err)
	}
	if s := r.Signature; s.Trust != x.trust || !strings.Contains(s.Text, x.want) || r.exit() != x.exit {
		t.Errorf("it is %s, %q, and exits %d; want %s, %q, %d", s.Trust, s.Text, r.exit(), x.trust, x.want, x.exit)
	}
	if good := x.trust >= Unvouched; good != strings.HasPrefix(r.Signature.Key, "SHA256:") {
		t.Errorf("its key is %q", r.Signature.Key)
	}
}

// TestSigned signs with the system's ssh-keygen, and has it look at what was signed.
func TestSigned(t *testing.T) {
	ann, annPublic := key(t, "ann")
	_, bobPublic := key(t, "bob")
	signers := func(lines ...string) string { return allowedSigners(t, lines...) }
	byAnn := bundledBy(t, ann)
	another := bundled(t, func(m []byte) ([]byte, error) { return Sign(t.Context(), ann, append(m, 'x')) })
	elsewhere := bundled(t, func(m []byte) ([]byte, error) {
		c := exec.Command("ssh-keygen", "-Y", "sign", "-q", "-f", ann, "-n", "file")
		c.Stdin = bytes.NewReader(m)
		return c.Output()
	})
	none := bundled(t, func([]byte) ([]byte, error) { return []byte("hello\n"), nil })
	inside := bytes.Clone(byAnn) // one byte of the manifest is another
	inside[bytes.Index(inside, []byte(`"rehearsal": "r"`))+14] = 's'
	for name, x := range map[string]signatureCase{
		"unsigned":             {bundled(t, nil), "", Unsigned, "nobody signed it", 0},
		"unsigned, and asked":  {bundled(t, nil), signers("ann@example.org " + annPublic), Unsigned, "nobody signed it", 1},
		"good":                 {byAnn, "", Unvouched, "nobody vouched for whose that is", 0},
		"good and vouched for": {byAnn, signers("bob@example.org "+bobPublic, "ann@example.org "+annPublic), Vouched, "ann@example.org signed it with the key SHA256:", 0},
		"only for us":          {byAnn, signers(`ann@example.org namespaces="` + Namespace + `" ` + annPublic), Vouched, "ann@example.org signed it", 0},
		"another's":            {byAnn, signers("bob@example.org " + bobPublic), Unaccepted, "and is none of", 1},
		"no longer allowed":    {byAnn, signers(`ann@example.org valid-before="20200101" ` + annPublic), Unaccepted, "", 1},
		"not allowed for this": {byAnn, signers(`ann@example.org namespaces="git" ` + annPublic), Unaccepted, "", 1},
		"of something else":    {another, "", Broken, "is not one of this manifest", 1},
		"for something else":   {elsewhere, "", Broken, "is not one of this manifest", 1},
		"no signature":         {none, "", Broken, "is not one of this manifest", 1},
		"of what was changed":  {inside, signers("ann@example.org " + annPublic), Broken, "is not one of this manifest", 1},
	} {
		t.Run(name, x.try)
	}
	if a, err := Read(bytes.NewReader(byAnn), int64(len(byAnn))); err != nil {
		t.Error(err)
	} else if _, err := a.Signed(t.Context(), "/no/such/file"); err == nil {
		t.Error("allowed signers that are not there are taken for none")
	}
	if _, err := Sign(t.Context(), filepath.Join(t.TempDir(), "none"), []byte("x")); err == nil || !strings.Contains(err.Error(), "signing the bundle with") {
		t.Errorf("a key that is not there: %v", err)
	}
}

// TestBrokenKeygens looks at a signature by programs that die, or are too old: nobody learns anything of it.
func TestBrokenKeygens(t *testing.T) {
	ann, public := key(t, "ann")
	signed, allowed := bundledBy(t, ann), allowedSigners(t, "ann@example.org "+public)
	for said, want := range map[string]string{
		"kill -9 $$": "killed",
		"echo >&2 'unknown option -- Y'; echo >&2 'usage: ssh-keygen [-q] [-a rounds]'; exit 1": "usage: ssh-keygen",
	} {
		dir := t.TempDir()
		scriptrig.Write(t, filepath.Join(dir, "ssh-keygen"), "#!/bin/sh\n"+said+"\n")
		t.Setenv("PATH", dir)
		a, err := Read(bytes.NewReader(signed), int64(len(signed)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := a.Signed(t.Context(), allowed)
		if r := (&Result{Signature: s}); err != nil || s.Trust != Unlooked || !strings.Contains(s.Text, want) || r.exit() != 3 {
			t.Errorf("%s: %v, it is %s, %q", said, err, s.Trust, s.Text)
		}
	}
}

// TestWithoutKeygen neither signs nor looks at a signature where there is no ssh-keygen, and says so.
func TestWithoutKeygen(t *testing.T) {
	ann, _ := key(t, "ann")
	signed := bundledBy(t, ann)
	t.Setenv("PATH", "")
	a, err := Read(bytes.NewReader(signed), int64(len(signed)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Signed(t.Context(), "")
	if r := (&Result{Signature: s}); err != nil || s.Trust != Unlooked || r.exit() != 3 {
		t.Errorf("without ssh-keygen: %v, %+v, exit code %d", err, s, r.exit())
	}
	if _, err := Sign(t.Context(), ann, []byte("x")); err == nil || !strings.Contains(err.Error(), "install OpenSSH") {
		t.Errorf("signing without ssh-keygen: %v", err)
	}
}

// TestResultText compares what is printed of some results.
func TestResultText(t *testing.T) {
	r := &Result{Rehearsal: "launch", Made: noon, By: "ann", Host: "here", Version: "1", Verifier: "2", Files: 3, Derived: 1, Missing: []string{"a policy"}, Why: []string{"shop: it failed."}, State: 2,
		Signature: Signature{Trust: Unvouched, Text: "the key SHA256:x signed it, and nobody vouched for whose that is"}}
	for _, x := range []struct {
		change func()
		want   []string
	}{
		{func() {}, []string{" WHOLE   b.zip   rehearsal launch, packed 2026-11-29 12:00:00 UTC by ann on here", "all 3 are as they were packed", "1 records were derived again", "no-go, by its records", "shop: it failed.", "a policy"}},
		{func() {
			r.Differs = []Finding{{"reports/x/scorecard.json", "$.low", "it is 1 in the bundle, and 2 by the record", -1}}
		},
			[]string{" NOT CERTAIN ", "this is gameday 2, and 1 packed them", "reports/x/scorecard.json: $.low: it is 1 in the bundle"}},
		{func() { r.Changed = make([]Finding, 50) }, []string{" CHANGED ", "and 10 more; --json has them."}},
		{func() {
			r.Changed, r.Differs, r.Signature = nil, nil, Signature{Trust: Unsigned, Asked: true, Text: "nobody signed it"}
		}, []string{" NOT SIGNED AS ASKED "}},
	} {
		x.change()
		r.Exit = r.exit()
		var b bytes.Buffer
		if err := Text(&b, "b.zip", r); err != nil {
			t.Fatal(err)
		}
		for _, want := range x.want {
			if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("it says\n%s\nand not %q", b.String(), want)
			}
		}
	}
}
