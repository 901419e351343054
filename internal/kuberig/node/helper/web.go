package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// web serves at an address until it is asked to end, or ends with a status.
func web(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "exit":
		status, err := strconv.Atoi(args[1])
		fmt.Println("ending with", args[1])
		if err == nil {
			os.Exit(status)
		}
		return err
	case len(args) != 1:
		return errors.New("web: an address to listen on?")
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening on", args[0])
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		fmt.Println("asked to end")
		os.Exit(0)
	}()
	return http.Serve(listener, http.HandlerFunc(page))
}

// page answers a request.
func page(w http.ResponseWriter, r *http.Request) {
	what, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch what {
	case "":
		fmt.Fprint(w, time.Now().Unix())
	case "env":
		fmt.Fprint(w, os.Getenv(rest))
	case "file":
		text, err := os.ReadFile("/" + rest)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = w.Write(text)
	case "get":
		client := http.Client{Timeout: time.Second}
		answer, err := client.Get("http://" + rest)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	default:
		http.NotFound(w, r)
	}
}
