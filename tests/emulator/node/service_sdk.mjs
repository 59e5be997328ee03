// Runs steps with @azure/web-pubsub and writes the result of each. The steps come as JSON, by the names of the Python SDK.

import { RestError } from "@azure/core-rest-pipeline";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { text } from "node:stream/consumers";

const { connectionString, hub, steps } = JSON.parse(await text(process.stdin));
const client = new WebPubSubServiceClient(connectionString, hub, {
  allowInsecureConnection: true,
  retryOptions: { maxRetries: 0 },
});

// Each takes the arguments of the Python method.
const operations = {
  send_to_all: (a) => client.sendToAll(data(a), sending(a)),
  send_to_group: (a) => client.group(a.group).sendToAll(data(a), sending(a)),
  send_to_user: (a) => client.sendToUser(a.user_id, data(a), sending(a)),
  send_to_connection: (a) => client.sendToConnection(a.connection_id, data(a), sending(a)),
  connection_exists: (a) => client.connectionExists(a.connection_id),
  group_exists: (a) => client.groupExists(a.group),
  user_exists: (a) => client.userExists(a.user_id),
  close_connection: (a) => client.closeConnection(a.connection_id, { reason: a.reason }),
  close_all_connections: (a) => client.closeAllConnections({ reason: a.reason }),
  close_group_connections: (a) => client.group(a.group).closeAllConnections({ reason: a.reason }),
  close_user_connections: (a) => client.closeUserConnections(a.user_id, { reason: a.reason }),
  add_connection_to_group: (a) => client.group(a.group).addConnection(a.connection_id),
  remove_connection_from_group: (a) => client.group(a.group).removeConnection(a.connection_id),
  remove_connection_from_all_groups: (a) => client.removeConnectionFromAllGroups(a.connection_id),
  add_user_to_group: (a) => client.group(a.group).addUser(a.user_id),
  remove_user_from_group: (a) => client.group(a.group).removeUser(a.user_id),
  remove_user_from_all_groups: (a) => client.removeUserFromAllGroups(a.user_id),
  grant_permission: (a) => client.grantPermission(a.connection_id, a.permission, { targetName: a.target_name }),
  revoke_permission: (a) => client.revokePermission(a.connection_id, a.permission, { targetName: a.target_name }),
  has_permission: (a) => client.hasPermission(a.connection_id, a.permission, { targetName: a.target_name }),
  list_connections: async (a) => {
    const members = [];
    for await (const member of await client.group(a.group).listConnections({ maxPageSize: a.maxpagesize, top: a.top })) {
      members.push([member.connectionId, member.userId ?? null]);
    }
    return members;
  },
  get_client_access_token: (a) =>
    client.getClientAccessToken({
      userId: a.user_id,
      roles: a.roles,
      groups: a.groups,
      expirationTimeInMinutes: a.minutes_to_expire,
      clientProtocol: a.client_protocol?.toLowerCase(),
    }),
  // The Python SDK has none of these two.
  add_connections_to_groups: (a) => client.addConnectionsToGroups(a.groups, a.filter),
  remove_connections_from_groups: (a) => client.removeConnectionsFromGroups(a.groups, a.filter),
};

function data({ message }) {
  return message?.bytes === undefined ? message : Buffer.from(message.bytes, "base64");
}

function sending({ content_type, excluded, filter }) {
  const options = { excludedConnections: excluded, filter };
  return content_type === "text/plain" ? { ...options, contentType: content_type } : options;
}

async function run({ name, arguments: given }) {
  try {
    const result = await operations[name](given);
    // What is declared to be void is an object of headers, none of which came.
    return JSON.stringify(result) === "{}" ? null : result;
  } catch (error) {
    if (!(error instanceof RestError)) throw error;
    return { status: error.statusCode, code: error.response?.headers.get("x-ms-error-code") ?? null };
  }
}

const results = [];
for (const step of steps) results.push(await run(step));
process.stdout.write(JSON.stringify(results));
