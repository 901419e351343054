package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes the scorecard as one indented JSON document: the Scorecard's fields in their order.
func JSON(w io.Writer, c *Scorecard) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("writing the scorecard as JSON: %w", err)
	}
	return nil
}
