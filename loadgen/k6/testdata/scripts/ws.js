// WebSockets that hold the iteration up until they are closed.
import ws from 'k6/ws';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6 };

export default function () {
  const heard = [];
  let pongs = 0;
  const answer = ws.connect(`${__ENV.WS}/ws`, { headers: { 'X-From': 'caravan' } }, (socket) => {
    socket.on('open', () => { socket.ping(); });
    socket.on('pong', () => { pongs++; socket.send('ten dinars'); });
    socket.on('message', (text) => {
      heard.push(text);
      if (text === 'ten dinars') {
        socket.setTimeout(() => socket.close(), 20);
      }
    });
  });
  const refused = ws.connect(`${__ENV.WS}/status/503`, () => {});
  const gone = ws.connect(`ws://${__ENV.GONE}/ws`, () => {});
  check(answer, {
    switched: (a) => a.status === 101,
    heard: () => heard.join() === 'ten dinars' && pongs === 1,
    refused: () => refused.status === 503,
    gone: () => gone.status === 0 && gone.error !== '',
  });
}
