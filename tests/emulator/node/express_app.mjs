// An app on @azure/web-pubsub-express. It writes its port, and then a line for each event that it is only told of.
// Arguments: the endpoint that it allows.

import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import express from "express";

const told = (request) => {
  const { eventName, userId, states } = request.context;
  console.log(JSON.stringify({ eventName, userId, states, reason: request.reason }));
};

const handler = new WebPubSubEventHandler("chat", {
  allowedEndpoints: ["https://other.example", process.argv[2]],
  handleConnect: (request, response) => {
    if (request.context.userId === "mallory") return response.fail(401, "Not you.");
    response.setState("query", request.queries ?? request.query);
    response.success({ userId: `Dr ${request.context.userId}`, groups: ["g"], subprotocol: request.subprotocols?.[0] });
  },
  handleUserEvent: (request, response) => {
    if (request.context.eventName === "broken") return response.fail(500, "No.");
    const count = (request.context.states.count ?? 0) + 1;
    response.setState("count", count);
    if (request.dataType === "json") return response.success(JSON.stringify({ got: request.data }), "json");
    response.success(`${request.context.userId} ${count}: ${request.data}`, "text");
  },
  onConnected: told,
  onDisconnected: told,
});

const app = express();
app.use(handler.getMiddleware());
const server = app.listen(0, "127.0.0.1", () => console.log(`listening at ${server.address().port}`));
