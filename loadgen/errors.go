package loadgen

import "errors"

// ErrEnded says that a script came to its end by itself, before it was told to stop.
var ErrEnded = errors.New("the script ended by itself")
