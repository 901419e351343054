package chaosmesh

import (
	"context"
	"encoding/json"

	"k8s.io/client-go/discovery"
)

// lacksOption reports whether the definition of TestRuns is known and has no spec.initializer.disabled.
func (c *client) lacksOption(ctx context.Context) bool {
	d, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	text, err := d.RESTClient().Get().AbsPath("/openapi/v3/apis/"+operatorAPI.String()).SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return false // who is to send finds out
	}
	type schema struct{ Properties map[string]json.RawMessage }
	var all struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if json.Unmarshal(text, &all) != nil {
		return false
	}
	at := all.Components.Schemas["io.k6.v1alpha1.TestRun"]
	for _, name := range []string{"spec", "initializer"} {
		var s schema
		if json.Unmarshal(at, &s) != nil || s.Properties[name] == nil {
			return false
		}
		at = s.Properties[name]
	}
	var s schema
	return json.Unmarshal(at, &s) == nil && s.Properties != nil && s.Properties["disabled"] == nil
}
