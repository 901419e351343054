package node

import (
	"time"

	"gameday/internal/kuberig"
)

// state is what the engine says of a container.
type state struct {
	Running    bool
	OOMKilled  bool
	Pid        int
	ExitCode   int
	StartedAt  time.Time
	FinishedAt time.Time
}

// status is the pod's status, of its containers' states.
func (w *worker) status() object {
	ended, failed, ready := 0, false, true
	var containers []object
	for _, r := range w.running {
		if r.id != "" && !r.state.Running && !w.shallRun(r) {
			ended++
			failed = failed || r.state.ExitCode != 0
		}
		ready = ready && r.ready
		containers = append(containers, r.status())
	}
	phase := "Running"
	if ended == len(w.running) {
		phase = "Succeeded"
		if failed {
			phase = "Failed"
		}
	}
	s := kuberig.Running(w.address, "", "", "", 0, w.began)
	s["phase"], s["containerStatuses"] = phase, containers
	for _, c := range s["conditions"].([]object) {
		if c["type"] != "Ready" && c["type"] != "ContainersReady" {
			continue
		}
		if !ready {
			c["status"] = "False"
			c["reason"] = map[bool]string{true: "PodCompleted", false: "ContainersNotReady"}[phase != "Running"]
		}
		c["lastTransitionTime"] = w.turned(ready).UTC().Format(time.RFC3339)
	}
	return s
}

// turned returns when the pod's readiness last changed.
func (w *worker) turned(ready bool) time.Time {
	if w.was != ready || w.since.IsZero() {
		w.was, w.since = ready, time.Now()
	}
	return w.since
}

// status is a container's status.
func (r *running) status() object {
	s := object{"name": r.spec.Name, "image": r.spec.Image, "imageID": "", "restartCount": r.restarts, "ready": r.ready, "started": r.state.Running}
	switch {
	case r.id == "":
		reason, message := "ContainerCreating", r.why
		if r.why != "" {
			reason = "CreateContainerError"
		} else if r.restarts > 0 {
			reason = "CrashLoopBackOff"
		}
		s["state"] = object{"waiting": object{"reason": reason, "message": message}}
	case r.state.Running:
		s["containerID"] = "docker://" + r.id
		s["state"] = object{"running": object{"startedAt": stamp(r.state.StartedAt)}}
	default:
		s["containerID"] = "docker://" + r.id
		s["state"] = object{"terminated": r.state.terminated(r.id)}
	}
	if r.last != nil {
		s["lastState"] = object{"terminated": r.last.terminated("")}
	}
	return s
}

// terminated says how a container ended.
func (s *state) terminated(id string) object {
	reason := "Completed"
	switch {
	case s.OOMKilled:
		reason = "OOMKilled"
	case s.ExitCode != 0:
		reason = "Error"
	}
	out := object{"exitCode": s.ExitCode, "reason": reason, "startedAt": stamp(s.StartedAt), "finishedAt": stamp(s.FinishedAt)}
	if id != "" {
		out["containerID"] = "docker://" + id
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
