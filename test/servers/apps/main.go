// Go's net/http. Shutdown closes kept connections that are idle, though a request may be on its way on one of them; so
// first it answers everybody with "Connection: close" for a while.
package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	word, err := os.ReadFile("version")
	if err != nil {
		panic(err)
	}
	if seconds, err := strconv.ParseFloat(os.Getenv("LOAD_SECONDS"), 64); err == nil {
		time.Sleep(time.Duration(seconds * float64(time.Second)))
	}
	body := []byte(strings.Repeat(strings.TrimSpace(string(word))+" ", 3000)[:20000])
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		panic(err)
	}
	if unix, ok := listener.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}

	var served, leaving, connections int64
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if atomic.LoadInt64(&leaving) == 1 {
				w.Header().Set("Connection", "close")
			}
			if r.URL.Path == "/slow" {
				time.Sleep(500 * time.Millisecond)
			} else if atomic.AddInt64(&served, 1)%20 == 0 {
				time.Sleep(30 * time.Millisecond)
			}
			w.Write(body)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				atomic.AddInt64(&connections, 1)
			case http.StateClosed, http.StateHijacked:
				atomic.AddInt64(&connections, -1)
			}
		},
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		server.Serve(listener)
		close(ended)
	}()
	if manager, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		manager.Write([]byte("READY=1"))
		manager.Close()
	}

	<-asked
	atomic.StoreInt64(&leaving, 1)
	listener.Close()
	<-ended
	for end := time.Now().Add(5 * time.Second); atomic.LoadInt64(&connections) > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	server.Shutdown(context.Background())
}
