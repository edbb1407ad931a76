// Drives the published Go agent through the scenarios of `cargo xtask peers`, as one Lambda function in one warm
// container would. What it did is written, one JSON object a line, to the file PEERS_OUT: scenario, request_id, started and
// ended (RFC 3339, milliseconds, UTC) around the invocation, raised (the message of what the function returned as an
// error, or null), and facts that the expectation depends on.
//
// The agent reads IOPIPE_TOKEN, IOPIPE_TIMEOUT_WINDOW and AWS_REGION itself and posts to
// https://metrics-api.<region>.iopipe.com, which names.go makes this machine.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/iopipe/iopipe-go"
)

// The function's time limit. The timeout scenario would outlast its own, so the agent reports it 150 ms (its window) before.
const (
	timeLimit        = 10 * time.Second
	timeLimitTimeout = 500 * time.Millisecond
)

// handler is the form of a function that the agent wraps.
type handler func(ctx context.Context, event map[string]interface{}) (string, error)

// CartError is what the function of the error scenario returns.
type CartError struct{ cart int }

func (e *CartError) Error() string { return fmt.Sprintf("cart %d has no items", e.cart) }

// line is one invocation, as PEERS_OUT tells it.
type line struct {
	Scenario  string            `json:"scenario"`
	RequestID string            `json:"request_id"`
	Started   string            `json:"started"`
	Ended     string            `json:"ended"`
	Raised    *string           `json:"raised"`
	Facts     map[string]string `json:"facts"`
}

func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func requestID() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// driver runs invocations and records them.
type driver struct {
	agent *iopipe.Agent
	out   *os.File
}

// invoke runs one invocation. An error that the function returns belongs to the scenario and is recorded: the agent must
// have passed it on unchanged.
func (d *driver) invoke(scenario string, limit time.Duration, function handler) {
	id := requestID()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{
		AwsRequestID: id,
		InvokedFunctionArn: fmt.Sprintf("arn:aws:lambda:%s:123456789012:function:%s",
			os.Getenv("AWS_REGION"), lambdacontext.FunctionName),
	})
	wrapped := lambda.NewHandler(d.agent.WrapHandler(function))
	done := line{Scenario: scenario, RequestID: id, Started: now(), Facts: map[string]string{}}
	if _, err := wrapped.Invoke(ctx, []byte("{}")); err != nil {
		message := err.Error()
		done.Raised = &message
	}
	done.Ended = now()
	if err := json.NewEncoder(d.out).Encode(done); err != nil {
		panic(err)
	}
}

func serve(context.Context, map[string]interface{}) (string, error) { return "served", nil }

func loadCart(context.Context, map[string]interface{}) (string, error) { return "", &CartError{42} }

// outlast works until Lambda would have ended the function.
func outlast(ctx context.Context, _ map[string]interface{}) (string, error) {
	<-ctx.Done()
	return "too late", nil
}

func measure(ctx context.Context, _ map[string]interface{}) (string, error) {
	wrapper, _ := iopipe.FromContext(ctx)
	wrapper.IOpipe.Metric("cart_total", 129.5)
	wrapper.IOpipe.Metric("cart_items", 3)
	wrapper.IOpipe.Metric("cart_currency", "EUR")
	return "served", nil
}

func label(ctx context.Context, _ map[string]interface{}) (string, error) {
	wrapper, _ := iopipe.FromContext(ctx)
	wrapper.IOpipe.Label("vip")
	wrapper.IOpipe.Label("größe 🚀")
	return "served", nil
}

func main() {
	resolveEverythingHere()
	out, err := os.OpenFile(os.Getenv("PEERS_OUT"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer out.Close()
	d := &driver{agent: iopipe.NewAgent(iopipe.Config{}), out: out}

	d.invoke("cold start", timeLimit, serve)
	d.invoke("warm", timeLimit, serve)
	d.invoke("thrown error", timeLimit, loadCart)
	d.invoke("timeout window", timeLimitTimeout, outlast)
	d.invoke("custom metrics", timeLimit, measure)
	d.invoke("labels", timeLimit, label)
}
