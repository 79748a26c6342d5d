-- HAProxy asks Sallyport whether a request may pass (forward-auth). HAProxy 2.6 or later.
--
-- The listener of Sallyport has forward_auth: haproxy. "sallyport snippet haproxy" prints the configuration that uses this file:
--
--   http-request  lua.sallyport_ask http://127.0.0.1:8000/_sallyport/ask    asks; answers requests that may not pass
--   http-response lua.sallyport_answer                                      adds Sallyport's headers to the response

local timeout_ms = 10000
local max_lines = 90 -- the HTTP client of HAProxy takes no more than tune.http.maxhdr (101) with those that are added here

local request_prefix, response_prefix = "x-sallyport-request-", "x-sallyport-response-"
local remove, passes = "x-sallyport-remove", "x-sallyport-passes"

-- Headers of the connection or of the body, which isn't sent.
local of_connection = {
	["connection"] = true, ["keep-alive"] = true, ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true,
	["content-length"] = true, ["expect"] = true, ["host"] = true,
}

-- lines returns the values of a header in the order in which they came. HAProxy's arrays begin with 0.
local function lines(values)
	local all, n = {}, 0
	while values[n] ~= nil do
		all[#all + 1] = values[n]
		n = n + 1
	end
	return all
end

local function answer(txn, status, body)
	local reply = txn:reply({ status = status, body = body })
	reply:add_header("Content-Type", "text/plain")
	reply:add_header("Cache-Control", "no-store")
	txn:done(reply)
end

-- question returns the headers of the question: the client's, and those that describe its request.
local function question(txn)
	local headers, count = {}, 0
	for name, values in pairs(txn.http:req_get_headers()) do
		local all = lines(values)
		if not of_connection[name] then
			headers[name] = all
			count = count + #all
		end
	end
	local forwarded = headers["x-forwarded-for"] or {}
	forwarded[#forwarded + 1] = txn.f:src()
	headers["x-forwarded-for"] = forwarded
	headers["x-forwarded-method"] = { txn.f:method() }
	headers["x-forwarded-uri"] = { txn.f:pathq() }
	headers["x-forwarded-host"] = { txn.f:req_fhdr("host") or "" }
	headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
	return headers, count
end

-- pass changes the request as the answer says, and keeps the headers for the response.
local function pass(txn, headers)
	for _, list in ipairs(lines(headers[remove] or {})) do
		for name in string.gmatch(list, "[^,]+") do
			txn.http:req_del_header(name)
		end
	end
	local kept = {}
	for name, values in pairs(headers) do
		if string.sub(name, 1, #request_prefix) == request_prefix then
			name = string.sub(name, #request_prefix + 1)
			txn.http:req_del_header(name)
			for _, value in ipairs(lines(values)) do
				txn.http:req_add_header(name, value)
			end
		elseif string.sub(name, 1, #response_prefix) == response_prefix then
			name = string.sub(name, #response_prefix + 1)
			for _, value in ipairs(lines(values)) do
				kept[#kept + 1] = { name, value }
			end
		end
	end
	txn:set_priv(kept)
	txn:set_var("txn.sallyport_passes", true)
end

-- refuse gives Sallyport's answer to the client.
local function refuse(txn, res)
	local reply = txn:reply({ status = res.status, body = res.body })
	for name, values in pairs(res.headers) do
		if not of_connection[name] then
			for _, value in ipairs(lines(values)) do
				reply:add_header(name, value)
			end
		end
	end
	txn:done(reply)
end

core.register_action("sallyport_ask", { "http-req" }, function(txn, url)
	local headers, count = question(txn)
	if count > max_lines then
		return answer(txn, 431, "The request has too many headers.\n")
	end
	local client = core.httpclient()
	local res = client:get({ url = url, headers = headers, timeout = timeout_ms })
	if res == nil or res.status == nil or res.status < 200 then
		return answer(txn, 503, "The service that checks this request can't be reached.\n")
	end
	if res.status == 200 and res.headers[passes] ~= nil then
		return pass(txn, res.headers)
	end
	refuse(txn, res)
end, 1)

core.register_action("sallyport_answer", { "http-res" }, function(txn)
	for _, header in ipairs(txn:get_priv() or {}) do
		txn.http:res_add_header(header[1], header[2])
	end
end)
