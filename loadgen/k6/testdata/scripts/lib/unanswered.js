// Calls over gRPC of which one in three gets no answer in time; another third of the iterations makes none.
import grpc from 'k6/net/grpc';
import exec from 'k6/execution';

const client = new grpc.Client();
client.load(['.'], 'scales.proto');
let connected = false;

export const options = { vus: 1, iterations: 9 };

export default function () {
  const turn = exec.scenario.iterationInTest % 3;
  if (turn === 1) {
    return;
  }
  if (!connected) {
    client.connect(__ENV.GRPC, { plaintext: true });
    connected = true;
  }
  client.invoke('grpc.testing.TestService/UnaryCall', { responseSize: turn === 0 ? 1 : -1 }, { timeout: '100ms' });
}
