// Package wire is what a test and the program inside a test's virtual machine say to each other over one serial line:
// frames of several commands at once, none of which needs the machine's network or its clock.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Port is the name of the serial port inside the machine.
const Port = "gameday.control"

// Kind says what a frame carries.
type Kind byte

// Kinds of frames. Hello, Stdout, Stderr and Exit come from the machine; the others go to it.
const (
	KindHello    Kind = iota + 1 // a Hello: the machine is up
	KindStart                    // a Start: run a command under the frame's number
	KindStdin                    // bytes for the command's standard input
	KindStdinEnd                 // its standard input ends
	KindKill                     // end the command and its process group
	KindStdout                   // bytes of its standard output
	KindStderr                   // bytes of its standard error
	KindExit                     // an Exit: the command has ended, and all its output was sent
)

// MaxData is the most bytes that one frame carries.
const MaxData = 256 << 10

// Frame is one message about one command.
type Frame struct {
	Kind    Kind
	Command uint32 // the command's number, chosen by the test; 0 in a hello
	Data    []byte
}

// Hello is the first frame after each boot.
type Hello struct {
	BootID  string        `json:"boot_id"`
	Seconds float64       `json:"seconds"` // since the kernel started
	Faults  []string      `json:"faults"`  // what went wrong while booting, in words
	Modules int           `json:"modules"` // kernel modules loaded
	SSH     bool          `json:"ssh"`     // sshd takes connections
	Phases  []PhaseLength `json:"phases"`  // where the time went
}

// PhaseLength is how long one part of the boot took.
type PhaseLength struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// Start describes a command.
type Start struct {
	Args  []string `json:"args"`
	Env   []string `json:"env"` // added to the machine's own
	Dir   string   `json:"dir"` // "/" if empty
	Stdin bool     `json:"stdin"`
}

// Exit says how a command ended: its exit code, or 128 and the number of the signal that ended it, or why it could not
// be started.
type Exit struct {
	Code  int    `json:"code"`
	Error string `json:"error,omitempty"`
}

// Boot is what the machine is to do when it boots: the file /etc/gameday-vm.json in its initial file system.
type Boot struct {
	Name    string   `json:"name"`    // its host name
	Modules []string `json:"modules"` // files of kernel modules, each after those it needs
	Disk    bool     `json:"disk"`    // mount /dev/vda at /disk
	SSH     bool     `json:"ssh"`     // run sshd
	Address string   `json:"address"` // of the first network card, with its prefix length
}

// BootPath is where a Boot stands inside the machine.
const BootPath = "/etc/gameday-vm.json"

// headLength is the length of a frame without its data: length of the data, number of the command, kind.
const headLength = 9

// Write writes a frame with one call of w.Write. It is not safe for concurrent use.
func Write(w io.Writer, f Frame) error {
	if len(f.Data) > MaxData {
		return fmt.Errorf("writing a frame: %d bytes of data, and %d is the most", len(f.Data), MaxData)
	}
	out := make([]byte, headLength, headLength+len(f.Data))
	binary.BigEndian.PutUint32(out, uint32(len(f.Data)))
	binary.BigEndian.PutUint32(out[4:], f.Command)
	out[8] = byte(f.Kind)
	if _, err := w.Write(append(out, f.Data...)); err != nil {
		return fmt.Errorf("writing a frame: %w", err)
	}
	return nil
}

// WriteJSON writes one frame whose data is v as JSON.
func WriteJSON(w io.Writer, kind Kind, command uint32, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing a frame: %w", err)
	}
	return Write(w, Frame{Kind: kind, Command: command, Data: data})
}

// Read reads one frame. At the end of the line, between two frames, the error is io.EOF.
func Read(r io.Reader) (Frame, error) {
	var head [headLength]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.EOF {
			return Frame{}, err
		}
		return Frame{}, fmt.Errorf("reading a frame: %w", err)
	}
	f := Frame{Kind: Kind(head[8]), Command: binary.BigEndian.Uint32(head[4:])}
	length := binary.BigEndian.Uint32(head[:])
	if length > MaxData || f.Kind < KindHello || f.Kind > KindExit {
		return Frame{}, fmt.Errorf("reading a frame: %x does not begin one", head)
	}
	f.Data = make([]byte, length)
	if _, err := io.ReadFull(r, f.Data); err != nil {
		if err == io.EOF { // the line ended, but not between two frames
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, fmt.Errorf("reading a frame of %d bytes: %w", length, err)
	}
	return f, nil
}
