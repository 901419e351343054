package program

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/lib/executor"
	"go.k6.io/k6/v2/metrics"
)

// keptConfig is a scenario that keeps the executor its script gave it. We only wait for the first whole second before
// it, and end it when told to.
type keptConfig struct {
	lib.ExecutorConfig
	child *generator
	raw   json.RawMessage
}

// keptOptions are the options of such a scenario.
type keptOptions struct {
	Executor string          `json:"executor"` // keptType
	Inner    json.RawMessage `json:"inner"`    // the scenario as the script has it, scaled
	Calls    bool            `json:"calls"`    // as in arrivalOptions
}

func (c *generator) newKept(name string, raw []byte) (lib.ExecutorConfig, error) {
	var o keptOptions
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", name, err)
	}
	var inner struct {
		Executor string `json:"executor"`
	}
	if err := json.Unmarshal(o.Inner, &inner); err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", name, err)
	}
	config, err := parseInner(name, inner.Executor, o.Inner)
	if err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", name, err)
	}
	c.mu.Lock()
	c.kept, c.calls = true, o.Calls
	c.mu.Unlock()
	return &keptConfig{ExecutorConfig: config, child: c, raw: raw}, nil
}

// parseInner reads a scenario of one of k6's own executors. k6 has a function for it, which cannot be used here: k6
// holds its lock while it calls newKept.
func parseInner(name, kind string, raw []byte) (lib.ExecutorConfig, error) {
	switch kind {
	case "constant-vus":
		return filled(executor.NewConstantVUsConfig(name), raw)
	case "ramping-vus":
		return filled(executor.NewRampingVUsConfig(name), raw)
	case "shared-iterations":
		return filled(executor.NewSharedIterationsConfig(name), raw)
	case "per-vu-iterations":
		return filled(executor.NewPerVUIterationsConfig(name), raw)
	case "constant-arrival-rate":
		return filled(executor.NewConstantArrivalRateConfig(name), raw)
	case "ramping-arrival-rate":
		return filled(executor.NewRampingArrivalRateConfig(name), raw)
	}
	return nil, fmt.Errorf("unknown executor %q", kind)
}

func filled[C lib.ExecutorConfig](config C, raw []byte) (lib.ExecutorConfig, error) {
	err := lib.StrictJSONUnmarshal(raw, &config)
	return config, err
}

// isKept reports whether the script's own executors run.
func (c *generator) isKept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

// MarshalJSON writes the scenario as newKept reads it.
func (k *keptConfig) MarshalJSON() ([]byte, error) { return k.raw, nil }

// NewExecutor returns what runs the scenario.
func (k *keptConfig) NewExecutor(es *lib.ExecutionState, log *logrus.Entry) (lib.Executor, error) {
	inner, err := k.ExecutorConfig.NewExecutor(es, log)
	if err != nil {
		return nil, err
	}
	k.child.mu.Lock()
	defer k.child.mu.Unlock()
	k.child.created++
	return &kept{Executor: inner, child: k.child, state: es}, nil
}

// kept runs an executor of k6's own.
type kept struct {
	lib.Executor
	child *generator
	state *lib.ExecutionState
}

// Run runs the executor until it is done, or told to stop: then its iterations are interrupted at once, because k6's
// executors cannot be asked to begin no new ones.
func (k *kept) Run(parent context.Context, out chan<- metrics.SampleContainer) error {
	defer k.child.finished()
	start, ok := k.child.begin(k.state)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	timer := time.NewTimer(time.Until(start))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.child.stop:
		return nil
	case <-ctx.Done():
		return nil
	}
	k.child.announce()
	go func() {
		select {
		case <-k.child.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return k.Executor.Run(ctx, out)
}

var _ lib.Executor = (*kept)(nil)
