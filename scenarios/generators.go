package scenarios

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"gameday/faults"
	"gameday/loadgen"
	"gameday/targets"
)

// maxGenerators bounds how many share a stream.
const maxGenerators = 64

// generatorBlock says how the machines are reached that send a stream, and what stands there.
type generatorBlock struct {
	Config   string    `hcl:"config,optional"`
	Install  string    `hcl:"install,optional"`
	Program  string    `hcl:"program,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

// generators decodes where a stream is sent from.
func (d *decoding) generators(out *Traffic, t trafficBlock) {
	var settings generatorBlock
	if len(t.GeneratorHost) > 0 && one(d.loader, t.GeneratorHost, "generator_hosts", func(b generatorBlock) hcl.Range { return b.DefRange }) {
		settings = t.GeneratorHost[0]
	}
	if !given(t.Generators) {
		if len(t.GeneratorHost) > 0 {
			d.errorf(settings.DefRange, "No generators", "Say which machines these settings are for: generators = [\"here\", \"loadgen-1\"].")
		}
		return
	}
	at := attrRange(t.Body, "generators", t.DefRange)
	names, ok := d.words(t.Generators, "generators", "[\"here\", \"loadgen-1\"]")
	if !ok {
		return
	}
	if len(names) == 0 || len(names) > maxGenerators {
		d.errorf(at, "Invalid generators", "Name 1 to %d machines that send this traffic, each as you would write it after ssh; \"here\" is this one.", maxGenerators)
		return
	}
	// The names are held to what targets are held to, each apart: one machine may send two segments.
	host := targets.Host{Config: d.sshConfig(settings.Config), Install: settings.Install, Guard: settings.Program}
	elsewhere := false
	for _, name := range names {
		n := loadgen.Node{SSH: name}
		if name != loadgen.Here {
			elsewhere = true
			host.SSH = []string{name}
			if !d.generatorHost(host, settings, at) {
				return
			}
			n.Config, n.Install, n.Program = host.Config, settings.Install, settings.Program
		}
		out.Generators = append(out.Generators, n)
	}
	switch {
	case elsewhere && d.out.Lab != nil:
		d.errorf(at, "Generators beside a lab", "A lab is a world of its own, and its nodes cannot be reached from another machine. Name only \"here\", once for "+
			"each process that is to send, or take the lab out of this scenario.")
	case !elsewhere && len(t.GeneratorHost) > 0:
		d.errorf(settings.DefRange, "No other machine", "These settings are for generators on other machines, and there is none.")
	case slices.Equal(names, []string{loadgen.Here}):
		out.Generators = nil
	}
}

// generatorHost checks one destination and the settings.
func (d *decoding) generatorHost(h targets.Host, settings generatorBlock, at hcl.Range) bool {
	err := h.Validate()
	for _, e := range flatten(err) {
		var f *faults.FieldError
		if !errors.As(e, &f) {
			continue
		}
		switch f.Field {
		case "ssh":
			d.errorf(at, f.Summary, "%s", f.Detail)
		case "guard":
			d.errorf(attrRange(settings.Body, "program", settings.DefRange), f.Summary, "%s", f.Detail)
		default:
			d.errorf(attrRange(settings.Body, f.Field, settings.DefRange), strings.ReplaceAll(f.Summary, "Guard", "Program"), "%s",
				strings.ReplaceAll(f.Detail, "guard", "program"))
		}
	}
	return err == nil
}

// sshConfig returns the path of a file for ssh -F, which is relative to the scenario's folder.
func (d *decoding) sshConfig(path string) string {
	if path == "" || filepath.IsAbs(path) || strings.HasPrefix(path, "~/") {
		return path
	}
	path = filepath.Join(d.dir, filepath.FromSlash(path))
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
