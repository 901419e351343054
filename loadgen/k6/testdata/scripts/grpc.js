// Calls over gRPC: by a file of the service and by reflection, good, refused, and in the background.
import grpc from 'k6/net/grpc';
import { check } from 'k6';

const known = new grpc.Client();
known.load(['./lib'], 'scales.proto');
const asked = new grpc.Client();
const call = 'grpc.testing.TestService/UnaryCall';

export const options = { vus: 2, iterations: 6 };

export default async function () {
  known.connect(__ENV.GRPC, { plaintext: true });
  asked.connect(__ENV.GRPC, { plaintext: true, reflect: true });
  const good = known.invoke(call, { responseSize: 3 }, { metadata: { 'x-from': 'caravan' }, tags: { kind: 'weigh' } });
  const found = asked.invoke(call, { responseSize: 2 });
  const refused = known.invoke(call, { responseStatus: { code: 8, message: 'too heavy' } });
  const health = known.healthCheck();
  const later = await known.asyncInvoke(call, { responseSize: 1 });
  check(good, {
    good: (a) => a.status === grpc.StatusOK && a.message.username === 'ali' && a.message.payload.body === 'AAAA',
    found: () => found.status === grpc.StatusOK && found.message.payload.body === 'AAA=',
    refused: () => refused.status === grpc.StatusResourceExhausted && refused.error.message === 'too heavy',
    healthy: () => health.status === grpc.HealthCheckServing,
    later: () => later.status === grpc.StatusOK,
  });
  known.close();
  asked.close();
}
