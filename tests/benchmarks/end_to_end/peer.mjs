// The peer: an app on @azure/web-pubsub-express, whose handlers do what those of the references do.
// Arguments: the port of 127.0.0.1, the number of processes, the hub, the path and the endpoint of the service.

import cluster from "node:cluster";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";

const [port, workers, hub, path, endpoint] = process.argv.slice(2);

const handler = new WebPubSubEventHandler(hub, {
  path,
  allowedEndpoints: [endpoint],
  handleConnect: (request, response) => {
    const room = request.queries.room[0];
    response.setState("room", room);
    response.success({
      userId: request.claims.sub[0],
      groups: [room],
      roles: request.claims.role,
      subprotocol: request.subprotocols[0],
    });
  },
  handleUserEvent: (request, response) => {
    response.setState("count", (request.context.states.count ?? 0) + 1);
    response.success("ack", "text");
  },
});

if (workers !== "1" && cluster.isPrimary) {
  for (let number = 0; number < Number(workers); number += 1) cluster.fork();
} else {
  const app = express();
  app.use(handler.getMiddleware());
  app.listen(Number(port), "127.0.0.1", () => console.log("listening"));
}
