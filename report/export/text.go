package export

import (
	"io"
	"strconv"
	"strings"
)

// Text writes the metrics in Prometheus' text format (version 0.0.4), as node_exporter's textfile collector takes them:
// without times, which it refuses.
func Text(w io.Writer, m *Metrics) error {
	var b strings.Builder
	for _, f := range m.Families {
		b.WriteString("# HELP " + f.Name + " " + strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.Help) + "\n")
		b.WriteString("# TYPE " + f.Name + " gauge\n")
		for _, s := range f.Samples {
			b.WriteString(f.Name + "{")
			for i, l := range s.Labels {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(l.Name + `="` + labelEscapes.Replace(l.Value) + `"`)
			}
			b.WriteString("} " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
